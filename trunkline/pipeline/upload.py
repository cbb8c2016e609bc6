"""A form with files on its way from the caller to a provider, which no more than begins to be held here.

The model decides who gets it. Clients that write their fields before their files tell it at once; others send it behind
the file, and until it comes the form is put aside, first in memory and then in a temporary file, up to a limit.

| when the model is known             | the form then                     | another attempt is possible            |
|-------------------------------------|-----------------------------------|----------------------------------------|
| the form has ended                  | is here: in memory or put aside   | always                                 |
| it goes on                          | begins here, the rest is streamed | until the rest has been asked for      |
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Annotated

import msgspec
from msgspec import Meta

from trunkline.errors import BodyTooLarge, Defect, Unavailable
from trunkline.ids import random_base62
from trunkline.observe import logger
from trunkline.wire import passage
from trunkline.wire.multipart import Field, FormReader, field_part, form_type

HELD_BYTES = 512 * 1024
"""So much of a form waits in memory, before the model and after it, for the chance that this is all."""
READ_PIECE_BYTES = 256 * 1024
BOUNDARY_WIDTH = 32
FIELDS = frozenset(("model", "stream", "n", "size", "partial_images", "prompt"))

log = logger("upload")


class UploadOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[uploads]`: forms with files."""

    put_aside_bytes: Annotated[
        int,
        Meta(ge=0, description="The most of a form that is put aside, on disk, while its `model` has not come."),
    ] = 25 * 1024 * 1024


class Upload:
    """`model` is what the caller asked for, `stream` whether he asked for a stream, `values` what the fields say that
    decide what it may cost, as far as the form has come.

    Made by `begin`; `close` gives back what it holds.
    """

    __slots__ = (
        "_after",
        "_aside",
        "_before",
        "_before_bytes",
        "_boundary",
        "_ended",
        "_options",
        "_reader",
        "_rest_asked",
        "_source",
        "model",
        "values",
    )

    def __init__(self, source: AsyncIterator[bytes], boundary: bytes, options: UploadOptions) -> None:
        """`source` are the bytes of the caller's form, `boundary` is its own."""
        self._source = source
        self._boundary = random_base62(BOUNDARY_WIDTH).encode()
        self._reader = FormReader(boundary, FIELDS, self._boundary)
        self._options = options
        self._before = bytearray()
        self._before_bytes = 0
        self._aside: IO[bytes] | None = None
        self._after = bytearray()
        self._ended = False
        self._rest_asked = False
        self.model = ""
        self.values: dict[str, str] = {}

    @property
    def stream(self) -> bool:
        return self.values.get("stream", "").strip().lower() in ("true", "1")

    async def begin(self) -> None:
        """Reads until the model is known, and a little more.

        Raises InvalidRequest, BodyTooLarge when the model stands behind too large a file, Unavailable when the disk
        does not take it, and what the source raises.
        """
        async for data in self._source:
            self._take(data)
            if len(self._before) > HELD_BYTES and not self.model:
                await self._put_aside()
            if self.model and len(self._after) > HELD_BYTES:
                return
        self._end()

    @property
    def kind(self) -> bytes:
        """The form's `content-type`."""
        return form_type(self._boundary)

    @property
    def ended(self) -> bool:
        """The whole of the caller's form has been read."""
        return self._ended

    @property
    def files(self) -> int | None:
        """How many there are; None before the form's end has come."""
        return self._reader.files if self._ended else None

    @property
    def can_be_sent(self) -> bool:
        """From its beginning: nothing of it is gone."""
        return not self._rest_asked

    def whole(self, model: str) -> bytes | None:
        """The form for a provider that knows the model as `model`; None when it is not all in memory."""
        if not self._ended or self._aside is not None:
            return None
        return b"".join((self._before, self._model_part(model), self._after))

    def length(self, model: str) -> int | None:
        """Bytes of the whole form; None before its end has come."""
        if not self._ended:
            return None
        return self._before_bytes + len(self._model_part(model)) + len(self._after)

    async def pieces(self, model: str) -> AsyncIterator[bytes]:
        """The form, as it is and as it comes. Raises InvalidRequest and what the source raises."""
        if self._rest_asked:
            raise Defect("The rest of an upload can be had only once.")
        if self._aside is not None:
            await asyncio.to_thread(self._aside.seek, 0)
            while data := await asyncio.to_thread(self._aside.read, READ_PIECE_BYTES):
                yield data
        # A copy: what is held must be there for another attempt.
        yield b"".join((self._before, self._model_part(model), self._after))
        if self._ended:
            return
        self._rest_asked = True
        self._after.clear()
        async for data in self._source:
            self._take(data)
            if self._after:
                yield bytes(self._after)
                self._after.clear()
        self._end()
        yield bytes(self._after)

    async def close(self) -> None:
        """Harmless twice."""
        aside, self._aside = self._aside, None
        if aside is not None:
            await asyncio.to_thread(aside.close)

    def _take(self, data: bytes) -> None:
        for piece in self._reader.feed(data):
            if not isinstance(piece, Field):
                (self._after if self.model else self._before).extend(piece)
            elif piece.name == "model":
                self.model = passage.checked_model(piece.value)
                self._before_bytes += len(self._before)
            else:
                self.values[piece.name] = piece.value
                (self._after if self.model else self._before).extend(field_part(self._boundary, piece))

    def _end(self) -> None:
        self._after += self._reader.end()
        self._ended = True
        if not self.model:
            raise passage.missing_model()

    async def _put_aside(self) -> None:
        limit = self._options.put_aside_bytes
        if self._before_bytes + len(self._before) > limit:
            raise BodyTooLarge(
                f"No field `model` is within the first {limit:,} bytes of the form: send it before the file.",
                param="model",
            )
        data, self._before = self._before, bytearray()
        self._before_bytes += len(data)
        try:
            if self._aside is None:
                self._aside = await asyncio.to_thread(tempfile.TemporaryFile)
            await asyncio.to_thread(self._aside.write, data)
        except OSError as error:
            log.error("upload_not_put_aside", reason=str(error))  # noqa: TRY400 - the sentence says it all
            raise Unavailable("The gateway's disk did not take the file that was sent before `model`.") from None

    def _model_part(self, model: str) -> bytes:
        return field_part(self._boundary, Field("model", model))
