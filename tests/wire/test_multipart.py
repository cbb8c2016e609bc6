"""Forms in any pieces mean the same, what goes out is read elsewhere as it was here, and hostile ones are refused."""

from __future__ import annotations

import email
import email.policy
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]

from tests.thoroughness import examples
from trunkline.errors import InvalidRequest, UnsupportedMediaType
from trunkline.wire.multipart import (
    LONGEST_BEGINNING_BYTES,
    LONGEST_VALUE_BYTES,
    MOST_PARTS,
    Field,
    FormReader,
    closing,
    field_part,
    form_type,
    is_form,
    read_boundary,
)

OURS = b"a-boundary-of-our-own"
ASKED = frozenset(("model", "stream"))
FILE = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b"\x00\r\n--y\xff\r\n-\r"
)
MODEL = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1'
FORM = FILE + b"\r\n" + MODEL + b"\r\n--x--\r\n"

Part = tuple[str, str | None, str | None, bytes]


def read(pieces: Iterable[bytes], boundary: bytes = b"x") -> tuple[bytes, dict[str, str]]:
    """The form that goes out, the fields unchanged, and those fields."""
    reader = FormReader(boundary, ASKED, OURS)
    out, fields = b"", {}
    for data in pieces:
        for piece in reader.feed(data):
            if isinstance(piece, Field):
                fields[piece.name] = piece.value
                out += field_part(OURS, piece)
            else:
                out += piece
    return out + reader.end(), fields


def parts_of(form: bytes, boundary: bytes) -> list[Part]:
    """As the library reads them."""
    parser = PushMultipartParser(boundary, strict=True)
    found: list[Part] = []
    for event in parser.parse(form.removesuffix(b"\r\n")):
        if isinstance(event, MultipartSegment):
            found.append((event.name, event.filename, event.header("Content-Type"), b""))
        elif event is not None:
            found[-1] = (*found[-1][:3], found[-1][3] + event)
    parser.close()
    return found


def test_every_split_gives_the_same_form() -> None:
    whole = read([FORM])
    assert whole[1] == {"model": "whisper-1"}
    for at in range(len(FORM)):
        assert read([FORM[:at], FORM[at:]]) == whole
    assert read(FORM[i : i + 1] for i in range(len(FORM))) == whole


def test_what_goes_out_holds_the_same_parts_behind_a_boundary_of_ours() -> None:
    out, _ = read([FORM])
    assert parts_of(out, OURS) == parts_of(FORM, b"x")
    assert b"--x" not in out
    # Another reader, which is lax about line ends, sees no part that is not there either.
    message: Any = email.message_from_bytes(
        b"Content-Type: " + form_type(OURS) + b"\r\n\r\n" + out, policy=email.policy.HTTP
    )
    assert [part.get_param("name", header="content-disposition") for part in message.iter_parts()] == ["file", "model"]


def test_a_field_is_told_where_it_stands_and_can_be_written_anew() -> None:
    reader = FormReader(b"x", ASKED, OURS)
    before = reader.feed(FORM[: len(FILE) + 2])
    assert not any(isinstance(piece, Field) for piece in before)
    rest = reader.feed(FORM[len(FILE) + 2 :])
    assert [piece for piece in rest if isinstance(piece, Field)] == [Field("model", "whisper-1")]
    out = b"".join(
        field_part(OURS, Field("model", "other")) if isinstance(piece, Field) else piece for piece in before + rest
    )
    assert parts_of(out + reader.end(), OURS)[1] == ("model", None, None, b"other")


def test_a_file_is_handed_on_as_it_comes() -> None:
    reader = FormReader(b"x", ASKED, OURS)
    reader.feed(FILE)
    data = random.Random(1).randbytes(100_000)
    for _ in range(50):
        handed_on = sum(len(piece) for piece in reader.feed(data) if isinstance(piece, bytes))
        assert abs(handed_on - len(data)) <= 16


@settings(deadline=None, max_examples=examples(60))
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029%\\"), min_size=1),
            st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029%\\")),
            st.none() | st.sampled_from(["audio/wav", "image/png; a=b"]),
            st.binary(max_size=60),
        ).filter(lambda part: part[0].partition("[")[0].strip().casefold() not in ASKED),
        min_size=1,
        max_size=6,
    ),
    st.data(),
)
def test_names_values_and_files_arrive_as_they_were_sent(parts: list[Part], data: st.DataObject) -> None:
    form = b""
    for name, filename, kind, content in parts:
        quoted = name.replace('"', "%22")
        form += b'--long-enough\r\ncontent-disposition: form-data; name="%b"' % quoted.encode()
        if filename is not None:
            form += b'; filename="%b"' % filename.replace('"', "%22").encode()
        form += (b"\r\nX-Other: 1\r\nContent-Type: %b" % kind.encode() if kind else b"") + b"\r\n\r\n" + content
        form += b"\r\n"
    form += b"--long-enough--"
    at = sorted(data.draw(st.lists(st.integers(0, len(form)), max_size=5)))
    pieces = [form[start:end] for start, end in zip([0, *at], [*at, len(form)], strict=True)]
    out, _ = read(pieces, b"long-enough")
    assert parts_of(out, OURS) == parts
    assert b"X-Other" not in out


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        (b"form-data; name=\"a\"; filename*=UTF-8''na%C3%AFve.wav", "a", "naïve.wav"),
        (b'form-data; name="a"; filename="plain"; filename*=UTF-8\'\'other', "a", "plain"),
        (b"form-data; name=a; filename=b.wav", "a", "b.wav"),
        (b'form-data; name="a"; filename=""', "a", ""),
        (b'form-data; name="b"; name="a"', "a", None),
        (b'form-data; name="a\\"b"', 'a"b', None),
        (b'form-data; name="image[]"; filename="1.png"', "image[]", "1.png"),
    ],
)
def test_names_as_clients_write_them(disposition: bytes, name: str, filename: str | None) -> None:
    out, _ = read([b"--x\r\nContent-Disposition: " + disposition + b"\r\n\r\nv\r\n--x--"])
    assert parts_of(out, OURS) == [(name, filename, None, b"v")]


def part(headers: bytes, value: bytes = b"v") -> bytes:
    return b"--x\r\n" + headers + b"\r\n\r\n" + value + b"\r\n"


def named(name: bytes, value: bytes = b"v") -> bytes:
    return part(b'Content-Disposition: form-data; name="%b"' % name, value)


END = b"--x--\r\n"
HOSTILE: dict[str, tuple[bytes, str | None]] = {
    # name: (form, the field that the refusal names)
    "nothing": (b"", None),
    "no boundary at all": (b"hello", None),
    "another boundary": (named(b"a").replace(b"--x", b"--y") + b"--y--", None),
    "truncated in a header": (b"--x\r\nContent-Dispo", None),
    "truncated in a value": (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nv', None),
    "truncated before the end": (named(b"a") + b"--x", None),
    "a header without an end": (b"--x\r\nContent-Disposition: " + b"a" * 100_000, None),
    "a huge header": (part(b'Content-Disposition: form-data; name="%b"' % (b"n" * 5000)) + END, None),
    "many headers": (part(b"\r\n".join(b"X-%d: y" % n for n in range(100))) + END, None),
    "ten thousand parts": (named(b"a") * 10_000 + END, None),
    "a nested form": (part(b"Content-Disposition: mixed\r\nContent-Type: multipart/mixed; boundary=y") + END, None),
    "no disposition": (part(b"Content-Type: text/plain") + END, None),
    "no name": (part(b"Content-Disposition: form-data") + END, None),
    "an empty name": (named(b"") + END, None),
    "a line end in a type": (part(b'Content-Disposition: form-data; name="a"\r\nContent-Type: a\nX: y') + END, None),
    "a zero in a name": (named(b"a\x00b") + END, None),
    "a name that is no text": (named(b"\xff\xfe") + END, None),
    "a length that lies": (part(b'Content-Disposition: form-data; name="a"\r\nContent-Length: 9') + END, None),
    "the model twice": (named(b"model", b"a") + named(b"model", b"b") + END, "model"),
    "the model in other letters": (named(b"Model") + END, "Model"),
    "the model in brackets": (named(b"model[]") + END, "model[]"),
    "the model with a blank": (named(b"model ") + END, "model "),
    "the model as a file": (part(b'Content-Disposition: form-data; name="model"; filename="f"') + END, "model"),
    "a long model": (named(b"model", b"m" * (LONGEST_VALUE_BYTES + 1)) + END, "model"),
    "a model that is no text": (named(b"model", b"\xff") + END, "model"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("size", [1 << 30, 1000, 7])
def test_a_hostile_form_is_refused_by_name(name: str, size: int) -> None:
    form, param = HOSTILE[name]
    with pytest.raises(InvalidRequest) as caught:
        read(form[i : i + size] for i in range(0, len(form), size))
    assert caught.value.param == param
    assert caught.value.message[-1] in ".?"
    assert len(caught.value.message) < 300


def test_an_endless_preamble_is_not_waited_out() -> None:
    def endless() -> Iterable[bytes]:
        for _ in range(LONGEST_BEGINNING_BYTES // 1000 + 1):
            yield b"p" * 1000
        raise AssertionError("asked for more")

    with pytest.raises(InvalidRequest, match="No part begins"):
        read(endless())
    assert read([b"a preamble\r\n" + FORM]) == read([FORM])


def test_as_many_parts_as_may_be() -> None:
    out, _ = read([named(b"a") * MOST_PARTS + END])
    assert len(parts_of(out, OURS)) == MOST_PARTS


@pytest.mark.parametrize("behind", [b"", b"\r\n", b"\r\n\r\n anything", b"\r\n" + named(b"model")])
def test_what_follows_the_last_boundary_means_nothing(behind: bytes) -> None:
    for pieces in ([named(b"a") + b"--x--" + behind], [named(b"a") + b"--x--", behind]):
        out, fields = read(pieces)
        assert (parts_of(out, OURS), fields) == ([("a", None, None, b"v")], {})


@settings(deadline=None, max_examples=examples(150))
@given(st.lists(st.sampled_from([b"--x", b"\r\n", b"\r", b"\n", b"--", b"x", MODEL, FILE, b"Content-"]), max_size=12))
def test_whatever_comes_is_a_form_or_is_refused(pieces: list[bytes]) -> None:
    try:
        out, _ = read(pieces)
    except InvalidRequest:
        return
    try:
        parts_of(out, OURS)
    except MultipartError:
        assert out == closing(OURS)  # a form of no parts


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b=c"', b"a b=c"),
        ("multipart/form-data; boundary=----WebKitFormBoundaryABC", b"----WebKitFormBoundaryABC"),
    ],
)
def test_the_boundary_is_read_from_the_header(content_type: str, boundary: bytes) -> None:
    assert is_form(content_type)
    assert read_boundary(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "b" * 201,
        'multipart/form-data; boundary="a\tb"',
        'multipart/form-data; boundary="é"',
        'multipart/form-data; boundary="ends with a blank "',
    ],
)
def test_a_form_without_a_usable_boundary(content_type: str) -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        read_boundary(content_type)


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/mixed; boundary=a", "text/multipart"])
def test_what_is_no_form(content_type: str) -> None:
    assert not is_form(content_type)
    with pytest.raises(UnsupportedMediaType):
        read_boundary(content_type)
