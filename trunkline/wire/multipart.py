"""Forms with files (RFC 7578, multipart/form-data): read as they arrive and written anew, one field of them changed.

What goes out is never the caller's own framing. Its boundary is one that he cannot know, its part headers are the two
that mean something, written the one usual way. So there is no text in a file that one reader takes for a part and
another does not, and whoever gets the form next sees the very names and values that were read here.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import msgspec
import multipart  # type: ignore[import-untyped]  # it is annotated, but does not say so
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from trunkline.errors import InvalidRequest, UnsupportedMediaType

MEDIA_TYPE = "multipart/form-data"
INVALID_FORM = "invalid_form"
MOST_PARTS = 256
"""OpenAI takes 16 images and a dozen fields: https://platform.openai.com/docs/api-reference/images/createEdit"""
LONGEST_BOUNDARY = 200
"""RFC 2046 section 5.1.1 allows 70; some clients are generous."""
LONGEST_BEGINNING_BYTES = 64 * 1024
"""Of a form, to the end of its first part's headers. A text before the first boundary means nothing."""
LONGEST_VALUE_BYTES = 4096
"""Of a field that is read here."""

# Line ends and other controls, those among them that only some readers take for line ends.
_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BOUNDARY = re.compile(r"[!-~ ]{0,199}[!-~]")
# RFC 8187, which RFC 7578 forbids in forms and some clients send all the same. The parser does not know it.
_EXTENDED_NAME = re.compile(r";[ \t]*filename\*[ \t]*=[ \t]*\"?(?i:utf-8)'[^';\"]*'([^;\"\s]*)")


class Field(msgspec.Struct, frozen=True):
    """A field that was asked for, in its place among the bytes of the form."""

    name: str
    value: str


Piece = bytes | Field


def is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == MEDIA_TYPE


def read_boundary(content_type: str) -> bytes:
    """The boundary that a form's `content-type` names. Raises UnsupportedMediaType when it is no form's, and
    InvalidRequest."""
    if not is_form(content_type):
        raise UnsupportedMediaType(
            f"Send the body as a form with files, with the header `content-type: {MEDIA_TYPE}; boundary=...`."
        )
    boundary: str = multipart.parse_options_header(content_type)[1].get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidRequest(
            f"The header `content-type: {MEDIA_TYPE}` must name a boundary of 1 to {LONGEST_BOUNDARY} characters;"
            " let your HTTP client write this header.",
            code=INVALID_FORM,
        )
    return boundary.encode("ascii")


def form_type(boundary: bytes) -> bytes:
    """The `content-type` of a form."""
    return b"%b; boundary=%b" % (MEDIA_TYPE.encode(), boundary)


def field_part(boundary: bytes, field: Field) -> bytes:
    """A whole part: a field with a text."""
    return b"%b%b\r\n" % (_part_head(boundary, field.name), field.value.encode())


def closing(boundary: bytes) -> bytes:
    return b"--%b--\r\n" % boundary


class FormReader:
    """Bytes of a form in, bytes of the form that goes out, in any pieces. Holds no more than a part's headers or the
    value of a field that is asked for. `files` counts those that have begun.

    `fields` are the names of the fields to give as Field in the place of their bytes, each at most once. Every method
    raises InvalidRequest, and is not to be called again after it.
    """

    __slots__ = ("_asked", "_boundary", "_field", "_parser", "_read_bytes", "_seen", "_value", "files")

    def __init__(self, boundary: bytes, fields: frozenset[str], outgoing: bytes) -> None:
        """`outgoing` is the boundary of the form that goes out: made at random, since nothing in a part may hold it."""
        self._parser = PushMultipartParser(boundary, max_segment_count=MOST_PARTS)
        self._asked = fields
        self._boundary = outgoing
        self._read_bytes = 0
        self._seen: set[str] = set()
        self._field: str | None = None
        self._value = b""
        self.files = 0

    def feed(self, data: bytes) -> list[Piece]:
        """What `data` adds to the form that goes out."""
        pieces: list[Piece] = []
        if not data:
            return pieces  # to the parser it would be the end
        try:
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    self._begin(event, pieces)
                elif self._field is None:
                    pieces.append(b"\r\n" if event is None else event)
                elif event is None:
                    pieces.append(self._field_ended(self._field))
                else:
                    self._add_value(self._field, event)
        except MultipartError as error:
            raise _not_a_form(error) from None
        if not self._seen:
            self._read_bytes += len(data)
            if self._read_bytes > LONGEST_BEGINNING_BYTES:
                raise InvalidRequest(
                    f"No part begins within the first {LONGEST_BEGINNING_BYTES:,} bytes of the form.", code=INVALID_FORM
                )
        return pieces

    def end(self) -> bytes:
        """The body has ended: what ends the form that goes out."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise _not_a_form(error) from None
        return closing(self._boundary)

    def _begin(self, part: MultipartSegment, pieces: list[Piece]) -> None:
        name = part.name
        if not name:
            raise InvalidRequest("A part of the form has no name.", code=INVALID_FORM)
        filename = part.filename if part.filename is not None else _extended_filename(part)
        plain = name.partition("[")[0].strip().casefold()
        if plain in self._asked:
            if name != plain:
                raise InvalidRequest(
                    f"'{name[:64]}' is not a field; did you mean '{plain}'?", code="unknown_parameter", param=name[:64]
                )
            if name in self._seen:
                raise InvalidRequest(f"'{name}' is given twice; send it once.", code="duplicate_field", param=name)
            if filename is not None:
                raise InvalidRequest(f"'{name}' is sent as a file; send it as a field.", code=INVALID_FORM, param=name)
            self._field, self._value = name, b""
        else:
            self._field = None
            self.files += filename is not None
            pieces.append(_part_head(self._boundary, name, filename, part.header("Content-Type")))
        self._seen.add(name)

    def _add_value(self, name: str, data: bytes | bytearray) -> None:
        self._value += data
        if len(self._value) > LONGEST_VALUE_BYTES:
            raise InvalidRequest(f"'{name}' is longer than {LONGEST_VALUE_BYTES:,} bytes.", param=name)

    def _field_ended(self, name: str) -> Field:
        self._field = None
        try:
            return Field(name, self._value.decode())
        except UnicodeDecodeError:
            raise InvalidRequest(f"'{name}' is not UTF-8 text.", code=INVALID_FORM, param=name) from None


def _part_head(boundary: bytes, name: str, filename: str | None = None, content_type: str | None = None) -> bytes:
    quote = multipart.content_disposition_quote
    head = f"Content-Disposition: form-data; name={quote(name)}"
    if filename is not None:
        head += f"; filename={quote(filename)}"
    if content_type:
        head += f"\r\nContent-Type: {content_type}"
    if _BREAKING.search(f"{name}{filename}{content_type}"):
        raise InvalidRequest("A header of a part has a character that no header can have.", code=INVALID_FORM)
    return b"--%b\r\n%b\r\n\r\n" % (boundary, head.encode())


def _extended_filename(part: MultipartSegment) -> str | None:
    found = _EXTENDED_NAME.search(part.header("Content-Disposition") or "")
    return unquote_to_bytes(found[1]).decode("utf-8", "replace") if found else None


def _not_a_form(error: MultipartError) -> InvalidRequest:
    said = str(error.args[0])
    return InvalidRequest(f"The body is not a form that can be read: {said[:1].lower()}{said[1:]}.", code=INVALID_FORM)
