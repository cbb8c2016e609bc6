"""The two ways of an attempt: who goes which, what is sent, what is kept, and answers that must fit a schema."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tests.pipeline.crossings import (
    ACCOUNT,
    BODIES,
    CALL,
    CALLERS,
    FORM,
    FORMS,
    JSON,
    NOW,
    OWN,
    SCHEMA,
    THOUGHT,
    Memory,
    Pricing,
    Quill,
    asked,
    event,
    message,
    over_messages,
    reach,
    streamed,
    text,
)
from tests.pipeline.scripted import Ledger, ScriptedTransport, new_call, pipeline
from trunkline import clock
from trunkline.errors import InvalidRequest, StoreUnavailable, UpstreamError, UpstreamFailed, UpstreamOverloaded
from trunkline.ids import AccountId
from trunkline.pipeline import protocols, ways
from trunkline.pipeline.call import _Sending
from trunkline.pipeline.protocols import CallerProtocol
from trunkline.pipeline.ways import Asked, Crossed, Passed, Sidecar
from trunkline.providers.adapter import Crossing, Reach
from trunkline.providers.protocols import PROTOCOLS
from trunkline.providers.transport import Headers, Timers
from trunkline.translation.exchange import State


@pytest.fixture(autouse=True)
def _held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_s", lambda: NOW)


def chosen(question: Asked, reached: Reach) -> ways.Way:
    house = pipeline(ScriptedTransport(), Ledger())
    crossing = Crossing(ACCOUNT, [], Timers(), streaming=False)
    return house._way(_Sending(new_call(), question, (), house.settings, crossing), reached)


@pytest.mark.parametrize("protocol", CALLERS, ids=lambda one: one.name)
def test_the_same_protocol_is_passed_on_and_every_other_crosses(protocol: CallerProtocol) -> None:
    for name, provider in OWN.items():
        reached = reach(provider, protocol.name if provider == OWN[protocol.name] else name)
        way = chosen(asked(protocol), reached)
        assert isinstance(way, Passed if provider == OWN[protocol.name] else Crossed), provider


@pytest.mark.parametrize("protocol", CALLERS, ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("keeps", "formed", "kind"),
    [(False, True, Crossed), (True, True, Passed), (None, True, Passed), (False, False, Passed)],
)
def test_a_form_that_the_model_does_not_keep_to_is_seen_to_here(
    protocol: CallerProtocol, keeps: bool | None, formed: bool, kind: type
) -> None:
    question = asked(protocol, **(FORMS[protocol.name] if formed else {}))
    assert type(chosen(question, reach(OWN[protocol.name], protocol.name, json_schema=keeps))) is kind


@pytest.mark.parametrize(
    ("fields", "kind"),
    [({}, Passed), ({"store": True}, Crossed), ({"previous_response_id": "resp_1"}, Crossed)],
)
def test_responses_with_state_are_never_passed_on(fields: JSON, kind: type) -> None:
    assert type(chosen(asked(protocols.RESPONSES, **fields), reach("openai", "openai_responses"))) is kind


# Passed on


async def sent(way: ways.Way) -> tuple[JSON, Headers]:
    outgoing = await way.outgoing()
    return msgspec.json.decode(outgoing.body), outgoing.headers


async def test_a_callers_version_goes_with_his_body_and_ours_where_he_says_none() -> None:
    reached = reach("anthropic", "anthropic_messages")
    ours = (b"anthropic-version", b"2023-06-01")
    assert (await sent(Passed(asked(protocols.MESSAGES), reached)))[1] == [ours]
    his: Headers = [(b"anthropic-beta", b"one,two")]
    assert (await sent(Passed(asked(protocols.MESSAGES, headers=his), reached)))[1] == [*his, ours]
    his = [(b"anthropic-version", b"2026-10-21"), (b"anthropic-beta", b"one")]
    assert (await sent(Passed(asked(protocols.MESSAGES, headers=his), reached)))[1] == his


async def test_a_crossing_says_our_version_and_none_of_his() -> None:
    question = asked(protocols.CHAT, headers=[(b"anthropic-version", b"2026-10-21")])
    way = Crossed(question, reach("anthropic", "openai_chat"), PROTOCOLS["anthropic_messages"], None)
    assert (await sent(way))[1] == [(b"anthropic-version", b"2023-06-01")]


async def test_a_way_of_hosting_shapes_a_body_on_either_way() -> None:
    """Vertex AI names the model in the path and the version in the body."""
    reached = reach("anthropic", "anthropic_messages", version="vertex-2023-10-16")
    for way in (
        Passed(asked(protocols.MESSAGES), reached),
        Crossed(asked(protocols.CHAT), reached, PROTOCOLS["anthropic_messages"], None),
    ):
        body, headers = await sent(way)
        assert body["anthropic_version"] == "vertex-2023-10-16"
        assert "model" not in body
        assert headers == []
        assert b"m:rawPredict" in (await way.outgoing()).path


async def test_what_the_model_refuses_is_named_on_either_way() -> None:
    reached = reach("openai", "openai_chat", drops=("temperature",))
    way = Passed(asked(protocols.CHAT, temperature=1), reached)
    body, _ = await sent(way)
    assert "temperature" not in body
    assert body["model"] == "m"
    assert way.warnings == ["dropped temperature: not supported by openai/m"]
    crossed = Crossed(asked(protocols.MESSAGES, temperature=1), reached, PROTOCOLS["openai_chat"], None)
    assert "temperature" not in (await sent(crossed))[0]
    assert crossed.warnings == way.warnings


CHAT_ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":5,"model":"real","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
)


def test_a_passed_answer_is_measured_and_only_ever_renamed() -> None:
    way = Passed(asked(protocols.CHAT), reach("openai", "openai_chat"))
    assert way.whole(CHAT_ANSWER) is CHAT_ANSWER
    assert way.usage is not None
    assert way.usage.total_tokens == 4
    renaming = asked(protocols.CHAT)
    renaming.shown_model = "asked"
    renamed = Passed(renaming, reach("openai", "openai_chat")).whole(CHAT_ANSWER)
    assert renamed == CHAT_ANSWER.replace(b'"real"', b'"asked"')


def test_an_error_in_the_place_of_an_answer_is_one() -> None:
    way = Passed(asked(protocols.CHAT), reach("openai", "openai_chat"))
    with pytest.raises(UpstreamOverloaded):
        way.whole(b'{"error":{"message":"over","code":503}}')
    stream = Passed(asked(protocols.CHAT), reach("openai", "openai_chat")).stream()
    with pytest.raises(UpstreamOverloaded):
        stream.feed(b'data: {"error":{"message":"over","code":503}}\n\n')


async def test_last_words_where_they_depend_on_what_came_before() -> None:
    assert Passed(asked(protocols.CHAT), reach("openai", "openai_chat")).last_words is None
    way = Passed(asked(protocols.RESPONSES), reach("openai", "openai_responses"))
    assert way.last_words is not None
    assert b'"sequence_number":0' in await way.last_words("server_error", "It failed.", None)
    began = b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"r"}}\n\n'
    way.stream().feed(began)
    words = await way.last_words("server_error", "It failed.", None)
    assert b'"sequence_number":1' in words
    assert words.startswith(b"event: error\n")


# Crossed


async def test_an_answer_crosses_and_is_counted() -> None:
    way = over_messages(asked(protocols.CHAT))
    body, _ = await sent(way)
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert body["max_tokens"] > 0
    answer = msgspec.json.decode(way.whole(message(text("Hello."))))
    assert answer["choices"][0]["message"]["content"] == "Hello."
    assert answer["usage"]["total_tokens"] == 14
    assert way.usage is not None
    assert way.usage.total_tokens == 14
    assert way.last_words is None


async def test_losses_are_warned_of_and_refused_where_that_is_wanted() -> None:
    way = over_messages(asked(protocols.CHAT, seed=3))
    await way.outgoing()
    assert way.warnings == ["dropped seed: not supported by anthropic/m"]
    strict = asked(protocols.CHAT, seed=3)
    strict.strict = True
    with pytest.raises(InvalidRequest) as refused:
        await over_messages(strict).outgoing()
    assert refused.value.param == "seed"


async def test_the_name_that_is_shown_and_what_the_provider_did_not_say() -> None:
    nameless = message(text("Hello.")).replace(b'"msg_1"', b'""').replace(b'"real"', b'""')
    question = asked(protocols.CHAT)
    for shown, expected in ((None, "m"), ("asked", "asked")):
        question.shown_model = shown
        way = over_messages(question)
        await way.outgoing()
        answer = msgspec.json.decode(way.whole(nameless))
        assert (answer["id"], answer["model"], answer["created"]) == ("chatcmpl-0123", expected, int(NOW))


async def test_state_that_the_client_lost_is_put_back_on_the_next_call() -> None:
    store = Memory()
    first = over_messages(asked(protocols.CHAT), store)
    await first.outgoing()
    assert store.looked_for == [], "no call came back bare"
    answer = msgspec.json.decode(first.whole(message(THOUGHT, CALL, stop="tool_use")))
    await first.keep()
    assert store.until == [NOW + 30 * 86_400]
    said = {name: answer["choices"][0]["message"][name] for name in ("role", "content", "tool_calls")}
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": "2"}
    turns = [*BODIES["openai_chat"]["messages"], said, result]
    second = over_messages(asked(protocols.CHAT, messages=turns), store)
    body, _ = await sent(second)
    assert store.looked_for == [["toolu_1"]]
    assert body["messages"][1]["content"] == [THOUGHT, CALL]
    # To another provider of the protocol nothing of it goes, and another account has nothing.
    other = over_messages(asked(protocols.CHAT, messages=turns), store, provider_id="elsewhere")
    assert "c2lnbmF0dXJl" not in (await other.outgoing()).body.decode()
    stranger = asked(protocols.CHAT, messages=turns)
    stranger.account_id = AccountId("acct_2")
    assert "c2lnbmF0dXJl" not in (await over_messages(stranger, store).outgoing()).body.decode()


async def test_nothing_is_kept_of_an_answer_without_state() -> None:
    store = Memory()
    way = over_messages(asked(protocols.CHAT), store)
    await way.outgoing()
    way.whole(message(text("Hello."), CALL, stop="tool_use"))
    await way.keep()
    assert store.until == []


async def test_a_store_that_is_down_is_told_before_the_end_goes_out() -> None:
    store = Memory()
    way = over_messages(asked(protocols.CHAT), store)
    await way.outgoing()
    way.whole(message(THOUGHT, CALL, stop="tool_use"))
    store.down = True
    with pytest.raises(StoreUnavailable):
        await way.keep()


def chunk(*parts: JSON, finish: str | None = None) -> JSON:
    candidate: JSON = {"index": 0, "content": {"role": "model", "parts": list(parts)}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"responseId": "r", "modelVersion": "real", "candidates": [candidate]}


async def test_a_stream_keeps_what_a_whole_answer_keeps() -> None:
    """The state of a text is no call's, and is not taken for one."""
    parts: list[JSON] = [
        {"text": "First.", "thought": True, "thoughtSignature": "b2Y="},
        {"text": "So.", "thoughtSignature": "dGV4dA=="},
        {"functionCall": {"id": "call_1", "name": "look", "args": {}}, "thoughtSignature": "Y2FsbA=="},
    ]
    kept: list[dict[tuple[str, str], bytes]] = []
    for stream in (False, True):
        store = Memory()
        reached = reach("google", "openai_chat")
        way = Crossed(asked(protocols.CHAT, stream=stream), reached, PROTOCOLS["gemini"], Sidecar(store, 30))
        await way.outgoing()
        if stream:
            editor = way.stream()
            for part in parts:
                editor.feed(b"data: " + msgspec.json.encode(chunk(part)) + b"\n\n")
            editor.feed(b"data: " + msgspec.json.encode(chunk(finish="STOP")) + b"\n\n")
            editor.end()
        else:
            way.whole(msgspec.json.encode(chunk(*parts, finish="STOP")))
        await way.keep()
        kept.append(store.kept)
    assert kept[0] == kept[1]
    assert [key for _, key in kept[0]] == ["call_1"]
    assert b"dGV4dA==" not in kept[0][ACCOUNT, "call_1"]


async def test_what_rests_on_a_provider_is_refused_by_another() -> None:
    question = asked(protocols.RESPONSES)
    way = over_messages(question)
    await way.outgoing()
    assert question.request is not None
    question.request.needs = ["prompt"]
    with pytest.raises(InvalidRequest) as refused:
        await over_messages(question).outgoing()
    assert refused.value.param == "prompt"


async def test_a_pen_writes_in_the_translators_place() -> None:
    question = asked(protocols.RESPONSES, store=True)
    question.pen = pen = Quill(protocols.RESPONSES)
    way = over_messages(question)
    await way.outgoing()
    assert way.whole(message(text("Hello."))) == b"by the pen"
    way.stream()
    await way.keep()
    assert pen.used == ["whole", "writer", "keep"]
    assert way.last_words is not None
    assert await way.last_words("server_error", "It failed.", None) == b"server_error It failed. None"


# Structured output


def answered(said: JSON) -> bytes:
    """By the tool that the schema became."""
    return message({"type": "tool_use", "id": "toolu_1", "name": "number", "input": said}, stop="tool_use")


async def test_the_schema_becomes_a_tool_that_must_be_called() -> None:
    way = over_messages(asked(protocols.CHAT, response_format=FORM), json_schema=False, tools=True)
    body, _ = await sent(way)
    assert [tool["name"] for tool in body["tools"]] == ["number"]
    assert body["tools"][0]["input_schema"] == SCHEMA
    assert body["tool_choice"]["name"] == "number"
    answer = msgspec.json.decode(way.whole(answered({"n": 3})))
    (choice,) = answer["choices"]
    assert msgspec.json.decode(choice["message"]["content"]) == {"n": 3}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("target", [{"tools": None}, {"tools": False}])
async def test_a_model_without_tools_is_told_in_words(target: JSON) -> None:
    way = over_messages(asked(protocols.CHAT, response_format=FORM), json_schema=False, **target)
    body, _ = await sent(way)
    assert "tools" not in body
    assert '"required":["n"]' in msgspec.json.encode(body["system"]).decode().replace("\\", "")
    fenced = way.whole(message(text('```json\n{"n": 3}\n```')))
    assert msgspec.json.decode(msgspec.json.decode(fenced)["choices"][0]["message"]["content"]) == {"n": 3}


async def test_an_answer_that_does_not_fit_is_sent_back_and_all_attempts_are_counted() -> None:
    way = over_messages(asked(protocols.CHAT, response_format=FORM), json_schema=False, tools=True)
    first, _ = await sent(way)
    assert way.whole(answered({"n": "three"})) == b""
    second, _ = await sent(way)
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert "$.n" in str(second["messages"][-1]) or "At n" in str(second["messages"][-1])
    assert way.whole(answered({})) == b""
    third, _ = await sent(way)
    assert len(third["messages"]) > len(second["messages"])
    answer = msgspec.json.decode(way.whole(answered({"n": 3})))
    assert answer["usage"]["prompt_tokens"] == 30
    assert answer["usage"]["completion_tokens"] == 12
    assert way.usage is not None
    assert way.usage.total_tokens == 42


async def test_after_two_repairs_the_error_says_why() -> None:
    way = over_messages(asked(protocols.CHAT, response_format=FORM), json_schema=False, tools=True)
    for _ in range(2):
        await way.outgoing()
        assert way.whole(answered({"n": "three"})) == b""
    await way.outgoing()
    with pytest.raises(UpstreamFailed) as failed:
        way.whole(answered({"n": "three"}))
    assert failed.value.code == "schema_not_met"
    assert "integer" in failed.value.message
    assert way.usage is not None
    assert way.usage.input_tokens == 30, "they cost what they cost"


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
async def test_what_was_cut_short_or_refused_is_told_as_it_is(stop: str) -> None:
    way = over_messages(asked(protocols.CHAT, response_format=FORM), json_schema=False)
    await way.outgoing()
    answer = msgspec.json.decode(way.whole(message(text('{"n":'), stop=stop)))
    assert answer["choices"][0]["message"]["content"] == '{"n":'
    assert answer["choices"][0]["finish_reason"] == {"max_tokens": "length", "refusal": "content_filter"}[stop]


async def test_a_schema_that_the_protocol_cannot_say_is_seen_to_as_well() -> None:
    """Anthropic's grammar knows no open objects of this kind; the model may know others."""
    odd = {"type": "object", "additionalProperties": {"type": "integer"}}
    form = {"type": "json_schema", "json_schema": {"name": "number", "schema": odd}}
    assert not PROTOCOLS["anthropic_messages"].translator.takes_schema(msgspec.Raw(msgspec.json.encode(odd)))
    way = over_messages(asked(protocols.CHAT, response_format=form), json_schema=True, tools=True)
    body, _ = await sent(way)
    assert [tool["name"] for tool in body["tools"]] == ["number"]
    assert way.whole(answered({"a": "b"})) == b""


def spoken(stream: bytes) -> str:
    chunks = [msgspec.json.decode(one.removeprefix(b"data: ")) for one in stream.split(b"\n\n")[:-2]]
    return "".join(choice["delta"].get("content") or "" for one in chunks for choice in one["choices"])


async def test_a_stream_of_the_tool_is_a_stream_of_text() -> None:
    question = asked(protocols.CHAT, response_format=FORM, stream=True)
    way = over_messages(question, json_schema=False, tools=True)
    await way.outgoing()
    editor = way.stream()
    out = editor.feed(streamed('{"n": 3}')) + editor.end()
    assert spoken(out) == '{"n": 3}'
    assert b'"finish_reason":"stop"' in out
    assert b"tool_calls" not in out
    assert editor.usage is not None


async def test_a_stream_that_does_not_fit_ends_in_an_error() -> None:
    question = asked(protocols.CHAT, response_format=FORM, stream=True)
    way = over_messages(question, json_schema=False, tools=True)
    await way.outgoing()
    editor = way.stream()
    with pytest.raises(UpstreamFailed) as failed:
        editor.feed(streamed('{"n": "three"}'))
    assert failed.value.code == "schema_not_met"


FAILING: list[tuple[Callable[[Crossed], object], type[UpstreamError]]] = [
    (lambda way: way.whole(b'{"type":"error","error":{"type":"api_error","message":"broken"}}'), UpstreamFailed),
    (lambda way: way.whole(b"<html>"), UpstreamFailed),
    (
        lambda way: way.stream().feed(event("error", error={"type": "overloaded_error", "message": "busy"})),
        UpstreamOverloaded,
    ),
]


@pytest.mark.parametrize(("step", "kind"), FAILING)
async def test_what_the_provider_says_went_wrong_is_an_error(
    step: Callable[[Crossed], object], kind: type[UpstreamError]
) -> None:
    way = over_messages(asked(protocols.CHAT, stream=True))
    await way.outgoing()
    with pytest.raises(kind):
        step(way)


def test_state_knows_where_it_is_from() -> None:
    """What is read of an answer is its provider's, by the name that this gateway has for it."""
    reached = reach("anthropic", "openai_chat")
    read = PROTOCOLS["anthropic_messages"].translator.read_answer(message(THOUGHT), reached.target)
    (part,) = read.choices[0].parts
    assert getattr(part, "state", None) == State("anthropic", "c2lnbmF0dXJl")


@pytest.mark.parametrize("protocol", CALLERS, ids=lambda one: one.name)
async def test_an_answer_is_called_what_the_caller_reads(protocol: CallerProtocol) -> None:
    """Whatever the provider called it; and why it ended is known."""
    whole = over_messages(asked(protocol))
    stream = over_messages(asked(protocol, stream=True))
    assert (whole.response_id, whole.finish_reason) == (None, None)
    await whole.outgoing()
    written = whole.whole(message(text("Hello."), stop="max_tokens"))
    assert whole.response_id is not None
    assert b'"' + whole.response_id.encode() + b'"' in written
    await stream.outgoing()
    editor = stream.stream()
    out = editor.feed(streamed('{"n": 3}')) + editor.end()
    assert stream.response_id is not None
    assert b'"' + stream.response_id.encode() + b'"' in out
    assert (whole.finish_reason, stream.finish_reason) == ("length", "tool_calls")


async def test_an_answer_of_the_pens_is_called_as_it_says() -> None:
    question = asked(protocols.RESPONSES, store=True)
    question.pen = Quill(protocols.RESPONSES)
    assert over_messages(question).response_id == "resp_ours"


@pytest.mark.parametrize(("said", "tier"), [(b"priority", "priority"), (b"standard", None)])
@pytest.mark.parametrize("stream", [False, True])
async def test_how_it_was_served_crosses_to_the_price(said: bytes, tier: str | None, stream: bool) -> None:
    question = asked(protocols.CHAT, stream=stream)
    question.charge = pricing = Pricing()
    await (way := over_messages(question)).outgoing()
    assert way.warnings[:1] == ["skipped one"]
    answer = streamed('{"n": 3}') if stream else message(text("Hello."))
    answer = answer.replace(b'"input_tokens":10', b'"service_tier":"%b","input_tokens":10' % said)
    if stream:
        editor = way.stream()
        assert editor.feed(answer) + editor.end()
    else:
        way.whole(answer)
    assert [usage and usage.service_tier for usage in pricing.seen] == [tier]


async def test_what_an_answer_cost_that_never_fitted_is_known() -> None:
    question = asked(protocols.CHAT, response_format=FORM)
    question.charge = pricing = Pricing()
    way = over_messages(question, json_schema=False)
    await way.outgoing()
    repairs = ways.structured().MOST_REPAIRS
    assert [way.whole(message(text("no JSON"))) for _ in range(repairs)] == [b""] * repairs
    with pytest.raises(UpstreamFailed):
        way.whole(message(text("no JSON")))
    assert [usage and usage.input_tokens > 10 for usage in pricing.seen] == [True]
