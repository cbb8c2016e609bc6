"""Multipart form bodies, whole: the fields and files of RFC 7578."""

from __future__ import annotations

from typing import TypeVar, get_origin

import msgspec
import multipart  # type: ignore[import-untyped]

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import json_body
from trunkline.providers.transport import Headers

T = TypeVar("T", bound=msgspec.Struct)

_MOST_PARTS = 128


class File(msgspec.Struct, frozen=True):
    name: str
    data: bytes


class Form(msgspec.Struct, frozen=True):
    """Values by the name of their field, in order; a list's `name[]` stands under `name`."""

    values: dict[str, list[str]]
    files: dict[str, list[File]]

    def file(self, name: str) -> File:
        """The one file of a field."""
        found = self.files.get(name, [])
        if len(found) != 1:
            sentence = f"{name} is one file, and {len(found) or 'none'} came"
            raise InvalidRequest(sentence, code="missing_required_parameter", param=name)
        return found[0]

    def read(self, kind: type[T]) -> T:
        """The values as a struct: only its lists take a field more than once, numbers and booleans are read from text.

        Raises InvalidRequest, about a field that does not fit or is none of the struct's.
        """
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        given: dict[str, object] = {}
        for name, values in self.values.items():
            if name not in fields:
                raise InvalidRequest(f"Unknown parameter: {name[:60]!r}", code="unknown_parameter", param=name[:200])
            takes_many = get_origin(fields[name]) is list
            if len(values) > 1 and not takes_many:
                raise InvalidRequest(f"{name} is given {len(values)} times", param=name)
            given[name] = values if takes_many else values[0]
        try:
            return msgspec.convert(given, kind, strict=False)
        except msgspec.ValidationError as error:
            raise json_body.refusal_of(error) from None


def read(headers: Headers, body: bytes) -> Form:
    """Raises InvalidRequest for a body that is no complete form."""
    content_type = next((value for name, value in headers if name.lower() == b"content-type"), b"")
    kind, options = multipart.parse_options_header(content_type.decode("latin-1"))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise InvalidRequest("the body is not multipart/form-data with a boundary", code="unsupported_content_type")
    form = Form({}, {})
    try:
        with multipart.PushMultipartParser(
            options["boundary"], content_length=len(body), max_segment_count=_MOST_PARTS, strict=True
        ) as parser:
            _fill(form, parser, body)
    except (multipart.MultipartError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the form cannot be read: {str(error)[:200]}") from None
    return form


def _fill(form: Form, parser: multipart.PushMultipartParser, body: bytes) -> None:
    segment: multipart.MultipartSegment | None = None
    pieces: list[bytes] = []
    for event in parser.parse(body):
        if isinstance(event, multipart.MultipartSegment):
            segment, pieces = event, []
        elif event is not None:
            pieces.append(bytes(event))
        elif segment is not None:
            name, data = str(segment.name).removesuffix("[]"), b"".join(pieces)
            if segment.filename is None:
                form.values.setdefault(name, []).append(data.decode())
            else:
                form.files.setdefault(name, []).append(File(segment.filename, data))
            segment = None
