"""The parts of answers as events, chunk by chunk. A whole answer is one chunk, so both are read alike.

Google gives text in pieces and everything else whole: a function call, a picture. Pieces of one kind that follow each
other are one part; a signature ends the part it stands on. Sound comes in pieces too, and is told whole.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable

from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.translation.exchange import (
    ArgumentsDelta,
    CallBegan,
    Event,
    Media,
    Opaque,
    PartCame,
    PartEnded,
    ReasoningDelta,
    State,
    StateCame,
    TextDelta,
)
from trunkline.translation.gemini import shapes
from trunkline.translation.gemini.contents import kind_of, media_of, of_media
from trunkline.translation.gemini.partial_args import Arguments
from trunkline.translation.gemini.shapes import Blob, FunctionCall, Part
from trunkline.translation.gemini.vocabulary import PROTOCOL, made_call_id, said

MAX_GATHERED_BYTES = 64 * 1024 * 1024


class _Call:
    """A call that may go on in the next part."""

    __slots__ = ("arguments", "part", "text")

    def __init__(self, part: int) -> None:
        self.part = part
        self.text = ""
        self.arguments: Arguments | None = None


class Candidate:
    """One choice of an answer. `origin` is the provider's id, `answer_id` what ids of calls are made of."""

    __slots__ = ("_call", "_open", "_origin", "_sound", "_sound_type", "called", "index", "parts", "reason")

    def __init__(self, index: int, origin: str) -> None:
        self.index = index
        self._origin = origin
        self._open = ""
        self._call: _Call | None = None
        self._sound: list[str] = []
        self._sound_type = ""
        self.parts = 0
        self.called = False
        self.reason: str | None = None

    def take(self, part: Part, answer_id: str, raw: Callable[[], Raw], out: list[Event]) -> None:
        """`raw` gives the part as it came."""
        if self._open in ("call", "sound"):
            self._close_before(part, out)
        signature = part.thought_signature
        if part.text is not None:
            self._text(part.text, "thought" if part.thought else "text", signature, out)
        elif part.function_call is not None:
            self._function_call(part.function_call, signature, answer_id, out)
        elif part.hosted() is not None or part.thought:
            kind = shapes.CAMEL.get(part.hosted() or "", "thought")
            out.append(PartCame(self.index, self._new(""), Opaque(PROTOCOL, raw(), kind)))
        elif part.inline_data is not None:
            self._media(part.inline_data, signature, out)
        elif part.file_data is not None:
            file = part.file_data
            media = Media(
                kind=kind_of(file.mime_type or ""), media_type=file.mime_type, url=file.file_uri, name=file.display_name
            )
            out.append(PartCame(self.index, self._new(""), media))
        elif signature:
            self._text("", "text", signature, out)

    def close(self, out: list[Event]) -> None:
        """No more parts come."""
        self._end_call(out)
        self._end_sound(out)
        self._open = ""

    def _new(self, kind: str) -> int:
        self._open = kind
        self.parts += 1
        return self.parts - 1

    def _close_before(self, part: Part, out: list[Event]) -> None:
        goes_on = part.function_call is not None and not part.function_call.name
        if self._call is not None and not goes_on:
            self._end_call(out)
        if self._sound and (part.inline_data is None or part.inline_data.mime_type != self._sound_type):
            self._end_sound(out)

    def _text(self, text: str, kind: str, signature: str | None, out: list[Event]) -> None:
        """A signature without text belongs to the text before it, if that has none yet."""
        if self._open != kind:
            if not text and not signature:
                return
            self._new(kind)
            if not text and kind == "text":
                # A state where nothing of the part has come would be hidden reasoning's, which that of a thought is.
                out.append(TextDelta(self.index, self.parts - 1, text))
        part = self.parts - 1
        if text:
            out.append(_delta(kind, self.index, part, text))
        if signature:
            out.append(StateCame(self.index, part, State(self._origin, signature)))
            self._open = ""

    def _function_call(self, said_call: FunctionCall, signature: str | None, answer_id: str, out: list[Event]) -> None:
        call = self._call
        if said_call.name:
            part = self._new("call")
            text = bytes(said_call.args).decode() if said(said_call.args) else ""
            call_id = said_call.id or made_call_id(answer_id or text, self.index, part, said_call.name)
            call = self._call = _Call(part)
            self.called = True
            out.append(CallBegan(self.index, part, call_id, said_call.name))
        if call is None:
            return
        if said(said_call.args):
            call.text = bytes(said_call.args).decode()
        for piece in said_call.partial_args or ():
            call.arguments = call.arguments or Arguments()
            call.arguments.take(piece)
        if signature:
            out.append(StateCame(self.index, call.part, State(self._origin, signature)))
        if not said_call.will_continue and (call.text or not said_call.name):
            self._end_call(out)

    def _end_call(self, out: list[Event]) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        text = call.text or (call.arguments.text() if call.arguments is not None else "")
        if text:
            out.append(ArgumentsDelta(self.index, call.part, text))
        out.append(PartEnded(self.index, call.part))

    def _media(self, blob: Blob, signature: str | None, out: list[Event]) -> None:
        if blob.mime_type.startswith("audio/") and not signature:
            self._open = "sound"
            self._sound_type = blob.mime_type
            self._sound.append(blob.data)
            if sum(map(len, self._sound)) > MAX_GATHERED_BYTES:
                raise UpstreamFailed(f"The provider sent more than {MAX_GATHERED_BYTES:,} bytes of sound.")
            return
        out.append(PartCame(self.index, self._new(""), media_of(blob)))
        if signature:
            out.append(StateCame(self.index, self._new(""), of_media(State(self._origin, signature))))

    def _end_sound(self, out: list[Event]) -> None:
        if not self._sound:
            return
        pieces, self._sound = self._sound, []
        try:
            data = pieces[0] if len(pieces) == 1 else b64encode(b"".join(map(b64decode, pieces))).decode()
        except ValueError:
            raise UpstreamFailed("The provider sent sound that is not base64.") from None
        media = Media(kind="audio", media_type=self._sound_type, data=data)
        out.append(PartCame(self.index, self._new(""), media))


def _delta(kind: str, choice: int, part: int, text: str) -> Event:
    return TextDelta(choice, part, text) if kind == "text" else ReasoningDelta(choice, part, text)
