"""A chat request field by field: what is read, what is written, what is lost and said to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Request, Text, Turn
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat.request import read_request, write_request
from trunkline.translation.target import Target
from trunkline.wire.inbound import Inbound
from trunkline.wire.openai_chat import read_request as read_body

EXCHANGES = Path(__file__).parents[2] / "corpus" / "openai_chat" / "exchanges"
TARGET = Target(provider_id="p", model_id="p/m", upstream="upstream-name")
HELLO = [{"role": "user", "content": "Hello"}]


def read(**fields: Any) -> Request:
    return read_request(read_body(msgspec.json.encode({"model": "m", "messages": HELLO, **fields})))


def write(request: Request, target: Target = TARGET) -> tuple[dict[str, Any], list[str]]:
    losses = Losses("p/m", request.names)
    body: dict[str, Any] = msgspec.json.decode(write_request(request, target, losses))
    return body, losses.warnings


def foreign(**fields: Any) -> Request:
    """Of a caller of another protocol."""
    turns = [Turn(role="user", parts=[Text(text="Hello")])]
    return Request(protocol="anthropic_messages", model="m", turns=turns, **fields)


def test_every_plain_field_crosses_both_ways() -> None:
    fields: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "presence_penalty": -1.0,
        "frequency_penalty": 1.5,
        "logprobs": True,
        "top_logprobs": 3,
        "seed": 7,
        "verbosity": "low",
        "metadata": {"a": "b"},
        "user": "u",
        "safety_identifier": "s",
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "logit_bias": {"50256": -100},
        "stop": ["a", "b"],
        "n": 2,
        "max_completion_tokens": 9,
        "reasoning_effort": "low",
    }
    request = read(**fields)
    assert (request.end_user, request.cache_key, request.n, request.max_tokens) == ("u", "k", 2, 9)
    body, warnings = write(request)
    assert body == {"model": "upstream-name", "messages": HELLO, **fields}
    assert warnings == []


def in_the_usual_words(body: dict[str, Any]) -> dict[str, Any]:
    """A request of the corpus as it is written here. Usage is asked for of every stream; thinking that is on is not
    told to models that always think."""
    if body.get("stream"):
        body["stream_options"] = {"include_usage": True}
    body.pop("thinking", None)
    if body.get("n") == 1:
        del body["n"]
    if "effort" in body.get("reasoning", {}):
        body["reasoning_effort"] = body.pop("reasoning")["effort"]
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and "allowed_tools" in choice:
        (body["tool_choice"],) = choice["allowed_tools"]["tools"]
    for message in body["messages"]:
        if message["role"] == "tool" and isinstance(message["content"], list):
            (part,) = message["content"]
            message["content"] = part["text"]
        if "tool_calls" in message:
            message["content"] = message["content"] or None
    return body


@pytest.mark.parametrize(
    "path", sorted(EXCHANGES.glob("*.request.json")), ids=lambda path: path.name.removesuffix(".request.json")
)
def test_requests_of_the_corpus_are_written_as_they_were(path: Path) -> None:
    body = path.read_bytes()
    request = read_request(read_body(body))
    target = Target(
        provider_id="p",
        model_id="p/m",
        upstream=request.model,
        takes_cache_control=True,
        returns_reasoning=b"reasoning_content" in body,
    )
    assert write(request, target) == (in_the_usual_words(msgspec.json.decode(body)), [])


def test_fields_that_are_null_are_as_if_they_were_not_there() -> None:
    names = ("temperature", "tools", "tool_choice", "response_format", "stop", "metadata", "reasoning", "odd", "n")
    bare = read()
    assert read(**dict.fromkeys(names)) == bare
    assert bare.reasoning.shown
    assert write(bare) == ({"model": "upstream-name", "messages": HELLO}, [])


def test_what_only_this_protocol_has_goes_back_to_it_as_it_was() -> None:
    extras = {"prediction": {"type": "content", "content": "x"}, "web_search_options": {}, "store": True, "min_p": 0.10}
    request = read(**extras)
    assert request.extras.keys() == extras.keys()
    assert write(request) == ({"model": "upstream-name", "messages": HELLO, **extras}, [])
    body, warnings = write(foreign(extras={"container": Raw(b'"c"')}))
    assert "container" not in body
    assert warnings == ["dropped container: not supported by p/m"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seed": "x"}, "seed"),
        ({"logprobs": 1}, "logprobs"),
        ({"metadata": {"a": 1}}, "metadata[]"),
        ({"user": 5}, "user"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function.name"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning": "high"}, "reasoning"),
        ({"cache_control": "yes"}, "cache_control"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(**fields)
    assert refused.value.param == param
    assert param in refused.value.message


def test_a_stream_is_always_asked_for_its_usage() -> None:
    body, _ = write(read(stream=True))
    assert body["stream_options"] == {"include_usage": True}
    refusing = msgspec.structs.replace(TARGET, refuses_stream_options=True)
    assert "stream_options" not in write(read(stream=True), refusing)[0]
    assert read(stream=True).usage_in_stream is False
    assert read(stream=True, stream_options={"include_usage": True}).usage_in_stream is True


@pytest.mark.parametrize(
    ("said", "target", "written"),
    [
        ({"max_tokens": 5}, {}, "max_tokens"),
        ({"max_tokens": 5}, {"drops": ("max_tokens",)}, "max_completion_tokens"),
        ({"max_tokens": 5}, {"max_tokens_renamed": True}, "max_completion_tokens"),
        ({"max_completion_tokens": 5}, {}, "max_completion_tokens"),
        ({"max_completion_tokens": 5}, {"max_tokens_only": True}, "max_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 5}, {}, "max_completion_tokens"),
    ],
)
def test_the_two_names_of_the_limit(said: dict[str, int], target: dict[str, Any], written: str) -> None:
    request = read(**said)
    body, warnings = write(request, msgspec.structs.replace(TARGET, **target))
    assert {name: body[name] for name in body if "max" in name} == {written: 5}
    assert warnings == []
    assert request.names["max_tokens"] == (
        "max_tokens" if len(said) == 1 and "max_tokens" in said else "max_completion_tokens"
    )


def test_a_caller_of_another_protocol_gets_the_newer_name() -> None:
    assert write(foreign(max_tokens=5))[0]["max_completion_tokens"] == 5


def test_what_a_target_refuses_is_dropped_by_the_callers_name() -> None:
    target = msgspec.structs.replace(
        TARGET, drops=("temperature", "end_user", "response_format", "reasoning", "messages")
    )
    request = read(temperature=1, user="u", response_format={"type": "json_object"}, reasoning_effort="low")
    body, warnings = write(request, target)
    assert body == {"model": "upstream-name", "messages": HELLO}
    assert warnings == [
        f"dropped {name}: not supported by p/m"
        for name in ("temperature", "user", "response_format", "reasoning_effort")
    ]


def test_what_the_protocol_lacks_is_dropped() -> None:
    request = foreign(top_k=5, metadata={"a": "b"}, cache="5m", service_tier="batch", stop=list("abcde"))
    body, warnings = write(request)
    assert body == {"model": "upstream-name", "messages": HELLO, "stop": ["a", "b", "c", "d"]}
    assert sorted(warning.split(":")[0] for warning in warnings) == [
        "clamped stop",
        "dropped cache",
        "dropped metadata",
        "dropped service_tier",
        "dropped top_k",
    ]
    assert write(foreign(service_tier="standard_only")) == (
        {"model": "upstream-name", "messages": HELLO, "service_tier": "default"},
        [],
    )


def test_a_hint_for_the_whole_prompt_goes_where_it_is_read() -> None:
    body, warnings = write(foreign(cache="1h"), msgspec.structs.replace(TARGET, takes_cache_control=True))
    assert body["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert warnings == []
    assert read(cache_control={"type": "ephemeral"}).cache == "5m"


def test_top_logprobs_need_logprobs() -> None:
    assert write(foreign(top_logprobs=2))[0]["logprobs"] is True


def test_functions_are_tools_in_their_first_form() -> None:
    function = {"name": "f", "parameters": {"type": "object"}}
    request = read(functions=[function], function_call={"name": "f"})
    assert request.legacy_functions
    assert request.parallel_tool_calls is False
    assert request.names["tools"] == "functions"
    body, _ = write(request)
    assert body["functions"] == [function]
    assert body["function_call"] == {"name": "f"}
    assert "parallel_tool_calls" not in body
    assert not read(functions=[]).legacy_functions


def test_beginnings_of_conversations_are_equal_bytes() -> None:
    """What a provider has cached of a prompt is found again."""
    system = {"role": "system", "content": "Be brief."}
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    first = read(messages=[system, *HELLO], tools=tools)
    more = [system, *HELLO, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "And?"}]
    second = read(messages=more, tools=tools, temperature=0.5)
    bodies = [write_request(request, TARGET, Losses("m", {})) for request in (first, second)]
    common = bodies[0][: bodies[0].index(b"Hello") + len(b'Hello"}')]
    assert bodies[1].startswith(common)


def test_any_inbound_will_do() -> None:
    fields = {"messages": Raw(b'[{"role":"user","content":"a"}]')}
    request = read_request(Inbound(fields=fields, model="m"))
    assert (request.n, request.usage_in_stream) == (1, False)
