"""A body that is passed on: the edits that a deployment needs and no other."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.catalog.models import Deployment
from trunkline.catalog.provider_row import Dialect, Provider
from trunkline.providers import adapter, credentials, passing
from trunkline.translation import envelope
from trunkline.translation.exchange import State
from trunkline.translation.target import Target
from trunkline.wire import codec, openai_chat, openai_responses

DIALECTS = [
    Dialect(refuses_stream_options=refuses, max_tokens_only=only, role_in_every_chunk=role, drops=drops)
    for refuses, only, role, drops in product(
        (False, True), (False, True), (False, True), ((), ("seed", "user"), ("logit_bias",))
    )
]
UPSTREAM_NAME = 'small-"odd"'


def target(dialect: Dialect) -> Target:
    row = Provider(id="p", name="P", base_url="https://p.example/v1", dialect=dialect)
    deployment = Deployment(model_id="p/small", provider_id="p", provider=row, upstream=UPSTREAM_NAME)
    return adapter.reach(deployment, credentials.sandbox(row), "openai_chat").target


def edited(body: bytes, dialect: Dialect) -> tuple[bytes, list[str]]:
    warnings: list[str] = []
    return passing.chat_body(openai_chat.read_request(body), target(dialect), warnings), warnings


# A field as a caller may write it: its name and the bytes of its value, odd spacing, numbers and escapes included.
JSON = st.recursive(
    st.one_of(
        st.sampled_from(
            [b"1.50", b"1e2", b"-0", b"12345678901234567890", b"null", b"true", b'"\\u00e9"', b'"\xc3\xa9"']
        ),
        st.text(max_size=8).map(msgspec.json.encode),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: b"[ " + b" ,".join(items) + b"]"),
        st.lists(inner, max_size=3).map(
            # Inside a value even a repeated name is the provider's business.
            lambda items: b"{" + b",\n".join(b'"same": ' + item for item in items) + b" }"
        ),
    ),
    max_leaves=6,
)
OPEN_NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6).map("x_".__add__)
KNOWN_VALUES: dict[str, st.SearchStrategy[bytes]] = {
    "seed": st.sampled_from([b"7", b"null"]),
    "user": st.just(b'"u"'),
    "logit_bias": JSON,
    "tools": JSON,
    "max_tokens": st.sampled_from([b"5", b"5.0"]),
    "max_completion_tokens": st.sampled_from([b"6", b"9"]),
    "stream": st.sampled_from([b"true", b"false", b"null"]),
    "stream_options": st.sampled_from([b"null", b"{}", b'{"include_usage": false,"x": 1.50}', b'{"x":[ ]}']),
    "temperature": st.sampled_from([b"1", b"0.10"]),
}
FIELDS = st.tuples(
    st.dictionaries(OPEN_NAMES, JSON, max_size=3),
    st.fixed_dictionaries({}, optional=KNOWN_VALUES),
).flatmap(
    lambda parts: st.permutations(
        [
            ("model", b'"asked"'),
            ("messages", b'[{"role":"user", "content":"\\u0041"}]'),
            *parts[0].items(),
            *parts[1].items(),
        ]
    )
)


def spelled(fields: list[tuple[str, bytes]]) -> bytes:
    return b" {" + b",\n ".join(msgspec.json.encode(name) + b" : " + value for name, value in fields) + b"} "


@given(fields=FIELDS, dialect=st.sampled_from(DIALECTS))
@example(
    fields=[("stream", b"true"), ("model", b'"a"'), ("messages", b'[{"role":"user"}]'), ("stream_options", b"null")],
    dialect=Dialect(),
)
def test_every_field_but_the_edited_ones_keeps_its_bytes_and_its_place(
    fields: list[tuple[str, bytes]], dialect: Dialect
) -> None:
    given_fields = dict(fields)
    streams = given_fields.get("stream") == b"true"
    body, warnings = edited(spelled(fields), dialect)
    sent = codec.answer_fields(body)
    assert sent is not None
    came = [(name, bytes(value)) for name, value in sent.items()]

    edits = {"model"}
    if streams or dialect.refuses_stream_options:
        edits.add("stream_options")
    if dialect.max_tokens_only and "max_completion_tokens" in given_fields:
        edits |= {"max_tokens", "max_completion_tokens"}
    dropped = [name for name in dialect.drops if name in given_fields]
    untouched = [field for field in fields if field[0] not in (*edits, *dropped)]
    assert [field for field in came if field[0] not in edits] == untouched
    options = (
        codec.answer_fields(given_fields.get("stream_options", b"null")) if dialect.refuses_stream_options else None
    )
    lost = [f"stream_options.{name}" for name in options or () if name != "include_usage"]
    assert warnings == [f"dropped {name}: not supported by p/small" for name in [*dropped, *lost]]

    assert [bytes(value) for name, value in sent.items() if name == "model"] == [msgspec.json.encode(UPSTREAM_NAME)]
    assert [name for name, _ in came].index("model") == len(
        [name for name, _ in fields[: [name for name, _ in fields].index("model")] if name in sent]
    )
    assert ("stream_options" in sent) == (
        not dialect.refuses_stream_options and (streams or "stream_options" in given_fields)
    )
    if dialect.max_tokens_only and "max_completion_tokens" in given_fields:
        assert "max_completion_tokens" not in sent
        assert bytes(sent["max_tokens"]) == given_fields.get("max_tokens", given_fields["max_completion_tokens"])


@pytest.mark.parametrize(
    ("given_options", "sent"),
    [
        (None, b'{"include_usage":true}'),
        (b"null", b'{"include_usage":true}'),
        (b"{}", b'{"include_usage":true}'),
        (b'{"include_usage":true}', b'{"include_usage":true}'),
        (b'{"include_usage":false}', b'{"include_usage":true}'),
        (b'{"x": [1.0 ],"include_usage":null,"y":2e0}', b'{"x":[1.0 ],"include_usage":true,"y":2e0}'),
        (b'{"include_obfuscation": false}', b'{"include_obfuscation":false,"include_usage":true}'),
    ],
)
def test_a_stream_always_asks_for_the_usage(given_options: bytes | None, sent: bytes) -> None:
    fields = [("model", b'"a"'), ("messages", b'[{"role":"user"}]'), ("stream", b"true")]
    options = [] if given_options is None else [("stream_options", given_options)]
    body, _ = edited(spelled(fields + options), Dialect())
    found = codec.answer_fields(body)
    assert found is not None
    assert list(found) == ["model", "messages", "stream", "stream_options"]
    assert bytes(found["stream_options"]) == sent


@pytest.mark.parametrize("given_options", [[], [("stream_options", b'{"include_usage":true}')]])
def test_an_upstream_that_refuses_stream_options_never_sees_them(given_options: list[tuple[str, bytes]]) -> None:
    fields = [("model", b'"a"'), ("messages", b'[{"role":"user"}]'), *given_options, ("stream", b"true")]
    body, warnings = edited(spelled(fields), Dialect(refuses_stream_options=True))
    assert list(codec.answer_fields(body) or ()) == ["model", "messages", "stream"]
    assert warnings == []


def test_one_request_can_be_edited_again_for_the_next_deployment() -> None:
    fields = [("model", b'"a"'), ("messages", b'[{"role":"user"}]'), ("seed", b"7"), ("max_completion_tokens", b"9")]
    request = openai_chat.read_request(spelled([*fields, ("stream", b"true")]))
    before = dict(request.fields)
    for dialect in DIALECTS:
        passing.chat_body(request, target(dialect), [])
        assert request.fields == before


def test_responses_keep_their_bytes_and_their_state_goes_to_its_maker_alone() -> None:
    mine, other = (envelope.wrap(State(origin, "sealed==")).encode() for origin in ("p", "q"))
    items = (b'{"type":"reasoning","summary":[],"encrypted_content":"%b"}' % one for one in (mine, other))
    body = b'{"model":"m","store":false,"input":[%b,%b,{"role":"user","content":"x"}],"odd":[1.50]}' % tuple(items)
    warnings: list[str] = []
    sent = passing.responses_body(openai_responses.read_request(body), target(Dialect()), warnings)
    asked = msgspec.json.decode(sent)
    assert b'"odd":[1.50]' in sent
    assert asked["store"] is False
    assert asked["model"] == UPSTREAM_NAME
    assert [item.get("encrypted_content") for item in asked["input"]] == ["sealed==", None]
    assert warnings == []
