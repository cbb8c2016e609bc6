from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import form_body
from trunkline.providers.sandbox.form_body import File, Form
from trunkline.providers.transport import Headers

HEADERS: Headers = [(b"Content-Type", b'multipart/form-data; boundary="b"')]


class Fields(msgspec.Struct, kw_only=True):
    name: str
    size: int = 1
    on: bool = False
    tags: list[str] = []


def part(data: bytes, name: str, *, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"


def form(*parts: bytes) -> Form:
    return form_body.read(HEADERS, b"".join(parts) + b"--b--\r\n")


def test_fields_and_files() -> None:
    found = form(
        part("é".encode(), "name"),
        part(b"\x00\r\n\xff", "f", filename="a.png"),
        part(b"x", "tags[]"),
        part(b"", "tags[]"),
    )
    assert found == Form({"name": ["é"], "tags": ["x", ""]}, {"f": [File("a.png", b"\x00\r\n\xff")]})
    assert found.file("f").data == b"\x00\r\n\xff"
    assert found.read(Fields) == Fields(name="é", tags=["x", ""])


def test_numbers_and_booleans_are_read_from_text() -> None:
    found = form(part(b"n", "name"), part(b"12", "size"), part(b"true", "on"))
    assert found.read(Fields) == Fields(name="n", size=12, on=True)


@pytest.mark.parametrize(
    ("parts", "param", "code"),
    [
        ([part(b"n", "name"), part(b"twelve", "size")], "size", "invalid_type"),
        ([part(b"n", "name"), part(b"m", "name")], "name", "invalid_value"),
        ([part(b"n", "name"), part(b"m", "other")], "other", "unknown_parameter"),
        ([], "name", "missing_required_parameter"),
    ],
)
def test_values_that_do_not_fit_are_named(parts: list[bytes], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        form(*parts).read(Fields)
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize("files", [0, 2])
def test_one_file_is_one(files: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        form(*(part(b"x", "f", filename="a") for _ in range(files))).file("f")
    assert caught.value.param == "f"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([], b"--b--\r\n"),
        ([(b"content-type", b"application/json")], b"{}"),
        ([(b"content-type", b"multipart/form-data")], b"--b--\r\n"),
        (HEADERS, b""),
        (HEADERS, part(b"x", "name")),
        (HEADERS, part(b"\xff", "name") + b"--b--\r\n"),
        (HEADERS, part(b"x", "name") * 129 + b"--b--\r\n"),
    ],
)
def test_what_is_no_whole_form_is_refused(headers: Headers, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        form_body.read(headers, body)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        form_body.read(HEADERS, body)
