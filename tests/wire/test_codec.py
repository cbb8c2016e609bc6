"""The top level of a body: every value as it came, nothing twice, nothing in disguise."""

from __future__ import annotations

import contextlib
import string
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.wire import codec

READ = frozenset(("model", "stream", "max_tokens"))


def test_values_keep_their_bytes_and_names_their_order() -> None:
    body = b' { "z" : 1.50 , "model":"\\u0061" ,"a":{ "b" : [1e400, 1] },\n"n":' + b"9" * 10_000 + b"}\r\n"
    fields = codec.fields(body, READ)
    assert list(fields) == ["z", "model", "a", "n"]
    assert [type(name) for name in fields] == [str] * 4
    assert {name: bytes(raw) for name, raw in fields.items()} == {
        "z": b"1.50",
        "model": b'"\\u0061"',
        "a": b'{ "b" : [1e400, 1] }',
        "n": b"9" * 10_000,
    }
    assert codec.encode(fields).startswith(b'{"z":1.50,"model":"\\u0061","a":{ "b" : [1e400, 1] },"n":999')


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b" \n", "invalid_json", None),
        (b"[]", "invalid_type", None),
        (b'"x"', "invalid_type", None),
        (b"null", "invalid_type", None),
        (b"{", "invalid_json", None),
        (b'{"model":"x"} {}', "invalid_json", None),
        (b'{"model":"x",}', "invalid_json", None),
        (b"\xef\xbb\xbf{}", "invalid_json", None),
        (b'{"a":NaN}', "invalid_json", None),
        (b'{"a":-Infinity}', "invalid_json", None),
        (b'{"a":01}', "invalid_json", None),
        (b'{"a":"\x00"}', "invalid_json", None),
        (b'{"a":"\\ud800"}', "invalid_json", None),
        (b'{"a":"\xff"}', "invalid_json", None),
        (b'{"a":{"b":"\xed\xa0\x80"}}', "invalid_json", None),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json", None),
        (b'{"a":' * 100_000, "invalid_json", None),
        (b'{"model":1,"model":1}', "duplicate_field", "model"),
        (b'{"x":1,"model":1,"x":[2]}', "duplicate_field", "x"),
        (b'{"model":1,"mod\\u0065l":1}', "duplicate_field", "model"),
        (b'{"Model":1}', "unknown_parameter", "Model"),
        (b'{"MAX_TOKENS":1}', "unknown_parameter", "MAX_TOKENS"),
        ('{"ſtream":1}'.encode(), "unknown_parameter", "ſtream"),
        (b'{"mod\\u0065l":1}', "unknown_parameter", "model"),
        (b'{"a":"\\"model\\":","\\u006d\\u006F\\u0064\\u0065\\u006C":1}', "unknown_parameter", "model"),
    ],
)
def test_a_body_that_two_readers_could_understand_differently_is_refused(
    body: bytes, code: str, param: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        codec.fields(body, READ)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert len(caught.value.message) < 300


def test_names_that_are_not_read_may_be_spelled_in_any_way() -> None:
    body = b'{"Caf\\u00e9":1,"a\\"b":2,"x\\\\":"\\\\","":3,"model":4}'
    assert list(codec.fields(body, READ)) == ["Café", 'a"b', "x\\", "", "model"]


def test_more_fields_than_any_request_has_are_not_sorted_out() -> None:
    def body(names: int) -> bytes:
        return b"{" + b",".join(b'"field_%012d":1' % number for number in range(names)) + b"}"

    assert len(codec.fields(body(codec.MOST_FIELDS), READ)) == codec.MOST_FIELDS
    with pytest.raises(InvalidRequest, match="more than 4,096 fields"):
        codec.fields(body(codec.MOST_FIELDS + 1), READ)
    with pytest.raises(InvalidRequest, match="'stream_options' has more than"):
        codec.fields(body(codec.MOST_FIELDS + 1), READ, within="stream_options")


@pytest.mark.parametrize("text", [b"a", rb"\\"])
def test_a_long_name_takes_no_more_memory_than_it_is_long(text: bytes) -> None:
    body = b'{"' + text * 200_000 + rb'\\":1,"model":2}'
    tracemalloc.start()
    try:
        assert len(codec.fields(body, READ)) == 2
        assert tracemalloc.get_traced_memory()[1] < 8 * len(body)
    finally:
        tracemalloc.stop()


def test_within_a_field_the_refusal_names_the_field() -> None:
    with pytest.raises(InvalidRequest) as caught:
        codec.fields(b'{"a":1,"a":1}', READ, within="stream_options")
    assert caught.value.param == "stream_options.a"
    with pytest.raises(InvalidRequest, match="'stream_options' must be a JSON object"):
        codec.fields(b"3", READ, within="stream_options")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.printable, max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
blanks = st.sampled_from([b"", b" ", b"\r\n\t "])
names = st.sampled_from(["model", "stream", "other", 'quo"te', "back\\slash", "é", "nul\x00"])


@st.composite
def spelled(draw: st.DrawFn, name: str) -> tuple[bytes, bool]:
    """A name as JSON, perhaps with one character escaped that need not be."""
    plain = msgspec.json.encode(name)
    if draw(st.booleans()) and name.isalnum() and name.isascii():
        place = draw(st.integers(0, len(name) - 1))
        escaped = f"\\u{ord(name[place]):04x}"
        return f'"{name[:place]}{escaped}{name[place + 1 :]}"'.encode(), True
    return plain, False


@given(st.data())
def test_any_object_is_read_whole_or_refused_for_a_reason(data: st.DataObject) -> None:
    pairs = data.draw(st.lists(st.tuples(names, json_values), max_size=5))
    body, in_disguise = b"{", False
    for number, (name, value) in enumerate(pairs):
        text, escaped = data.draw(spelled(name))
        in_disguise |= escaped and name in READ
        gaps = [data.draw(blanks) for _ in range(4)]
        body += (
            (b"," if number else b"") + gaps[0] + text + gaps[1] + b":" + gaps[2] + msgspec.json.encode(value) + gaps[3]
        )
    body += b"}"
    repeated = len({name for name, _ in pairs}) != len(pairs)
    if repeated or in_disguise:
        with pytest.raises(InvalidRequest) as caught:
            codec.fields(body, READ)
        assert caught.value.code == ("duplicate_field" if repeated else "unknown_parameter")
    else:
        fields = codec.fields(body, READ)
        assert [(name, bytes(raw)) for name, raw in fields.items()] == [
            (name, msgspec.json.encode(value)) for name, value in pairs
        ]
        assert codec.fields(codec.encode(fields), READ).keys() == fields.keys()


@given(st.binary(max_size=40))
def test_no_bytes_do_worse_than_a_refusal(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        codec.fields(body, READ)
    answer = codec.answer_fields(body)
    assert answer is None or isinstance(answer, dict)


def test_a_providers_repeated_name_counts_as_it_came_last() -> None:
    fields = codec.answer_fields(b'{"a":1,"a":2}')
    assert fields is not None
    assert bytes(fields["a"]) == b"2"
    assert codec.answer_fields(b'{"a":"\xff"}') is None
    assert codec.answer_fields(b"[" * 100_000) is None


def test_the_places_of_a_field() -> None:
    data = b' { "a" : 1 ,"u\\u0061":{"ua":2}, "ua" : [ ] }'
    assert [data[start:end] for start, end in codec.places(data, "ua")] == [b'{"ua":2}', b"[ ]"]
    assert codec.places(data, "b") == []
