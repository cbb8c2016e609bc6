"""Requests: what a caller asks is read whole, what a provider is asked says it again, and every loss is named."""

from __future__ import annotations

import fnmatch
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.openai_responses.exchanges import SCOPE, TARGET, asked
from trunkline.errors import InvalidRequest
from trunkline.translation import tool_ids
from trunkline.translation.exchange import (
    Media,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    ReasoningAsked,
    Request,
    State,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.losses import Losses
from trunkline.translation.openai_responses.losses import LOSSES
from trunkline.translation.openai_responses.request import read_request, write_request
from trunkline.translation.target import Target
from trunkline.wire import openai_responses
from trunkline.wire.codec import encode

# The type of a request asks for generators, which validate lazily; the body is checked as what it is.
REQUESTS: TypeAdapter[Any] = TypeAdapter(response_create_params.ResponseCreateParamsNonStreaming)
NOT_HERE = ("top_k", "presence_penalty", "frequency_penalty", "logit_bias", "seed", "stop")
PARAMETERS = tuple(name for name in strategies.PARAMETERS if name not in NOT_HERE)


class Told(Losses):
    """Remembers the names of what was lost, and holds each to the table."""

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__("maker/thinker", {}, strict=strict)
        self.names: list[tuple[str, str]] = []

    def _lost(self, name: str, how: str, why: str) -> None:
        self.names.append((name, how))
        assert any(
            fnmatch.fnmatch(name, loss.name) and loss.how == how and loss.direction == "request" for loss in LOSSES
        ), name
        super()._lost(name, how, why)

    def refused(self, name: str, sentence: str) -> InvalidRequest:
        assert any(loss.name == name and loss.how == "refused" for loss in LOSSES) or name.startswith("media.")
        return super().refused(name, sentence)


def written(request: Request, target: Target = TARGET, losses: Losses | None = None) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(write_request(request, target, losses or Told()))
    REQUESTS.validate_python({**body, "stream": False})
    return body


def asking(*turns: Turn, **fields: Any) -> Request:
    given: dict[str, Any] = {"protocol": "anthropic_messages", "model": "thinker", **fields}
    return Request(turns=list(turns) or [user("Hello")], **given)


def user(*parts: Part | str) -> Turn:
    return Turn(role="user", parts=[Text(text=part) if isinstance(part, str) else part for part in parts])


def assistant(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=list(parts))


def normal(request: Request) -> Any:
    """What the two sides of a crossing have in common: turns of one role joined, names of this protocol's making
    forgotten."""
    turns: list[Turn] = []
    for turn in request.turns:
        turn.parts = [part for part in turn.parts if not isinstance(part, Reasoning) or part.state is not None]
        for part in turn.parts:
            if isinstance(part, ToolResult):
                part.call_id = tool_ids.fitted(part.call_id, 64)
                _plain_results(part)
            if isinstance(part, ToolCall):
                part.id, part.state, part.cache = tool_ids.fitted(part.id, 64), None, None
                part.arguments = part.arguments or "{}"
            if isinstance(part, Reasoning) and part.state is not None:
                part.id, part.state = None, State("", part.state.data)
            if isinstance(part, Media):
                _plain_media(part)
        if turns and turns[-1].role == turn.role and turn.role in ("user", "assistant"):
            turns[-1].parts += turn.parts
        else:
            turns.append(Turn(role=turn.role, parts=list(turn.parts)))
    for tool in request.tools:
        if isinstance(tool, Tool):
            tool.cache = None
    fields = {name: getattr(request, name) for name in (*PARAMETERS, "tools", "tool_choice", "output_format")}
    return msgspec.json.decode(
        encode([turns, fields, request.reasoning.effort, request.parallel_tool_calls, request.stream])
    )


def _plain_results(result: ToolResult) -> None:
    if result.is_error:
        result.is_error = False
        first = result.parts[0]
        if isinstance(first, Text):
            first.text = f"Error: {first.text}"
        else:
            result.parts.insert(0, Text(text="Error:"))
    result.cache = None
    for part in result.parts:
        if isinstance(part, Media):
            _plain_media(part)


def _plain_media(media: Media) -> None:
    media.name = None
    if media.text is not None:
        media.data, media.media_type = b64encode(media.text.encode()).decode(), "text/plain"
        media.text = None
    if media.kind == "audio":
        media.cache = None
    if media.url is not None or media.file_id is not None:
        media.media_type = None


SAYABLE = msgspec.structs.replace(
    SCOPE,
    media=("image", "document", "audio"),
    media_in_answers=(),
    names=False,
    call_state=False,
    cache=False,
)


@given(strategies.requests(SAYABLE, PARAMETERS))
@settings(max_examples=examples(80))
def test_a_request_crosses_whole(request: Request) -> None:
    if request.max_tokens is not None:
        request.max_tokens = max(request.max_tokens, 16)
    for turn in request.turns:
        turn.parts = [part for part in turn.parts if not isinstance(part, Media) or part.kind != "audio" or part.data]
    request.top_logprobs = 3 if request.logprobs else None
    body = write_request(request, TARGET, Told())
    back = read_request(openai_responses.read_request(body))
    before, after = normal(request), normal(back)
    if not request.tools:
        before[1]["tool_choice"] = after[1]["tool_choice"]
    assert after == before
    assert back.top_logprobs == request.top_logprobs


@given(strategies.requests(msgspec.structs.replace(SAYABLE, protocol="openai_chat", state=False)))
@settings(max_examples=examples(80))
def test_what_is_written_is_a_request_of_the_sdks(request: Request) -> None:
    for turn in request.turns:
        turn.parts = [part for part in turn.parts if not isinstance(part, Media) or part.kind == "image"] or [
            Text(text="x")
        ]
    body = written(request)
    assert body["store"] is False
    assert "reasoning.encrypted_content" in body["include"]
    assert body["model"] == "thinker"
    for tool in body.get("tools", ()):
        assert tool["type"] == "custom" or isinstance(tool["strict"], bool)


def test_a_whole_input_is_read() -> None:
    request = asked(
        instructions="Be brief.",
        input=[
            {"role": "developer", "content": "Rules."},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"},
                    {"type": "input_image", "file_id": "file-1", "detail": "auto"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                    {"type": "input_file", "file_url": "https://a.example/b.pdf"},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
            },
            {"type": "function_call", "call_id": "call_1", "id": "fc_1", "name": "add", "arguments": '{"a":1}'},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "run", "input": "ls"},
            {"type": "function_call_output", "call_id": "call_1", "output": "2"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "a"}]},
        ],
    )
    system, developer, question, answer, results = request.turns
    assert (system.role, system.parts) == ("system", [Text(text="Be brief.")])
    assert (developer.role, developer.parts) == ("developer", [Text(text="Rules.")])
    assert question.parts == [
        Text(text="Look", cache="5m"),
        Media(kind="image", media_type="image/png", data="AAAA", detail="high"),
        Media(kind="image", file_id="file-1"),
        Media(kind="document", media_type="application/pdf", data="JVBE", name="a.pdf"),
        Media(kind="document", url="https://a.example/b.pdf"),
        Media(kind="audio", media_type="audio/mpeg", data="AAAA"),
    ]
    assert answer.parts == [
        Reasoning(summaries=["hm"], id="rs_1"),
        Text(text="I look."),
        ToolCall(id="call_1", name="add", arguments='{"a":1}'),
        ToolCall(id="call_2", name="run", arguments="ls", custom=True),
    ]
    assert results.parts == [
        ToolResult(call_id="call_1", parts=[Text(text="2")]),
        ToolResult(call_id="call_2", parts=[Text(text="a")], custom=True),
    ]


def test_every_parameter_is_read() -> None:
    request = asked(
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        metadata={"a": "b"},
        user="u",
        safety_identifier="s",
        prompt_cache_key="k",
        service_tier="flex",
        parallel_tool_calls=False,
        stream=True,
        text={
            "format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True},
            "verbosity": "low",
        },
        reasoning={"effort": "high", "summary": "detailed", "context": "auto"},
        include=["reasoning.encrypted_content", "message.output_text.logprobs", "file_search_call.results"],
        top_logprobs=2,
        truncation="auto",
        store=False,
    )
    assert request.output_format is not None
    assert (request.output_format.name, request.output_format.strict, request.verbosity) == ("x", True, "low")
    assert request.reasoning == ReasoningAsked(effort="high", summary="detailed", shown=True, state_wanted=True)
    assert (request.logprobs, request.top_logprobs) == (True, 2)
    assert (request.max_tokens, request.temperature, request.top_p) == (100, 0.5, 0.9)
    assert (request.end_user, request.safety_identifier, request.cache_key) == ("u", "s", "k")
    assert (request.metadata, request.service_tier, request.parallel_tool_calls) == ({"a": "b"}, "flex", False)
    assert {name: bytes(raw) for name, raw in request.extras.items()} == {
        "truncation": b'"auto"',
        "include": b'["file_search_call.results"]',
        "reasoning.context": b'"auto"',
    }
    assert request.stream


def test_what_only_this_protocol_has_goes_back_to_it() -> None:
    fields: dict[str, Any] = {
        "truncation": "auto",
        "include": ["file_search_call.results"],
        "reasoning": {"effort": "low", "context": "all_turns"},
        "tools": [{"type": "web_search"}],
        "tool_choice": {"type": "web_search_preview"},
        "max_tool_calls": 3,
        "client_metadata": {"a": "b"},
    }
    body = written(asked(**fields))
    assert body["include"] == ["reasoning.encrypted_content", "file_search_call.results"]
    assert body["reasoning"] == {"effort": "low", "summary": "auto", "context": "all_turns"}
    for name in ("truncation", "tools", "tool_choice", "max_tool_calls", "client_metadata"):
        assert body[name] == fields[name]


def test_defaults_that_are_spelled_out_are_no_loss() -> None:
    request = asked(truncation="disabled", stream_options={"include_obfuscation": False}, prompt=None, top_logprobs=0)
    assert request.extras == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_film"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].input_audio"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": 1}]}, "input[0].output"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "a"}, {"type": "custom", "name": "a"}]}, "tools"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"service_tier": 5}, "service_tier"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**fields)
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


def sealed(origin: str = "made-by") -> Reasoning:
    return Reasoning(summaries=["hm"], state=State(origin, "rs_1.gAAA"))


def test_reasoning_goes_back_to_its_maker_only() -> None:
    body = written(asking(user("a"), assistant(sealed(), Text(text="b")), user("c")))
    assert body["input"][1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "gAAA",
    }
    losses = Told()
    foreign = asking(user("a"), assistant(sealed("other"), Text(text="b")), user("c"))
    assert [item["type"] for item in written(foreign, losses=losses)["input"]] == ["message"] * 3
    assert b"gAAA" not in write_request(foreign, TARGET, Told())
    assert losses.names == [("reasoning", "dropped")]
    hidden = Told()
    written(
        asking(user("a"), assistant(Reasoning(state=State("other", "s")), Text(text="b")), user("c")), losses=hidden
    )
    assert hidden.names == []


def test_open_reasoning_goes_back_where_it_is_wanted() -> None:
    engine = msgspec.structs.replace(TARGET, returns_reasoning=True)
    body = written(asking(user("a"), assistant(Reasoning(text="hm"), Text(text="b")), user("c")), engine)
    assert body["input"][1]["content"] == [{"type": "reasoning_text", "text": "hm"}]


def test_instructions_stand_first_or_where_they_stood() -> None:
    system = Turn(role="system", parts=[Text(text="Be brief.")])
    body = written(asking(system, user("a"), system, user("b")))
    assert body["instructions"] == "Be brief."
    assert [item["role"] for item in body["input"]] == ["user", "system", "user"]
    assert written(asking(system))["input"] == [{"type": "message", "role": "system", "content": "Be brief."}]


LOST: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"stop": ["x"]}, ("stop", "dropped")),
    ({"top_k": 4}, ("top_k", "dropped")),
    ({"seed": 4}, ("seed", "dropped")),
    ({"presence_penalty": 1.0}, ("presence_penalty", "dropped")),
    ({"frequency_penalty": 1.0}, ("frequency_penalty", "dropped")),
    ({"logit_bias": Raw(b"{}")}, ("logit_bias", "dropped")),
    ({"max_tokens": 5}, ("max_tokens", "changed")),
    ({"service_tier": "batch"}, ("service_tier", "dropped")),
    ({"cache": "5m"}, ("cache", "changed")),
    ({"extras": {"container": Raw(b'"c"')}}, ("container", "dropped")),
    ({"reasoning": ReasoningAsked(budget_tokens=9000)}, ("reasoning.budget_tokens", "changed")),
    (
        {"tools": [Opaque("anthropic_messages", Raw(b"{}"), "web_search_20250305")]},
        ("tools.web_search_20250305", "dropped"),
    ),
    ({"tools": [Tool(name="a", cache="5m")]}, ("cache", "changed")),
    ({"turns": [Turn(role="user", parts=[Text(text="a", cache="1h")])]}, ("cache", "changed")),
    ({"turns": [Turn(role="user", parts=[Text(text="a")], name="Ann")]}, ("turns.name", "dropped")),
    ({"turns": [user(ToolResult(call_id="c", parts=[], is_error=True))]}, ("tool_result.is_error", "changed")),
    ({"turns": [assistant(Text(text="a", citations=Raw(b"[{}]")))]}, ("citations", "dropped")),
    ({"turns": [assistant(Opaque("gemini", Raw(b"{}"), "executableCode"))]}, ("executableCode", "dropped")),
    ({"turns": [assistant(sealed("other"))]}, ("reasoning", "dropped")),
]


@pytest.mark.parametrize(("fields", "loss"), LOST, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_what_is_lost_is_told(fields: dict[str, Any], loss: tuple[str, str]) -> None:
    losses = Told()
    written(
        asking(**fields) if "turns" not in fields else Request(protocol="anthropic_messages", model="m", **fields),
        losses=losses,
    )
    assert losses.names == [loss]
    with pytest.raises(InvalidRequest):
        write_request(
            Request(**{"protocol": "gemini", "model": "m", "turns": [user("a")], **fields}), TARGET, Told(strict=True)
        )


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"n": 2}, "n"),
        ({"turns": [user(Media(kind="audio", media_type="audio/wav", data="AA"))]}, "media.audio"),
        ({"turns": [user(Media(kind="video", url="https://a.example"))]}, "media.video"),
        ({"turns": [user(Media(kind="image", file_id="file_1"))]}, "media.file_id"),
        ({"turns": [assistant(Media(kind="image", data="AA"))]}, "media.image"),
    ],
)
def test_what_cannot_be_said_is_refused(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        write_request(Request(**{"protocol": "gemini", "model": "m", "turns": [user("a")], **fields}), TARGET, Told())
    assert caught.value.param == name


def test_every_line_of_the_table_is_met() -> None:
    """Here or among the answers."""
    met = {loss for _, loss in LOST} | {
        (name, "refused") for name in ("n", "media.audio", "media.video", "media.file_id", "media.image")
    }
    met |= {("reasoning.effort", "dropped")}
    for loss in LOSSES:
        if loss.direction == "request":
            assert any(fnmatch.fnmatch(name, loss.name) and how == loss.how for name, how in met), loss


@pytest.mark.parametrize(
    ("thinking", "reasoning", "expected", "lost"),
    [
        ("effort", ReasoningAsked(effort="high", shown=True), {"effort": "high", "summary": "auto"}, []),
        ("effort", ReasoningAsked(enabled=False), {"effort": "none"}, []),
        ("effort", ReasoningAsked(shown=True), {"summary": "auto"}, []),
        (None, ReasoningAsked(shown=True), None, []),
        (None, ReasoningAsked(enabled=True, adaptive=True, shown=True), {"summary": "auto"}, []),
        ("never", ReasoningAsked(shown=True), None, []),
        ("never", ReasoningAsked(effort="none"), None, []),
        ("never", ReasoningAsked(effort="high"), None, [("reasoning.effort", "dropped")]),
        ("always", ReasoningAsked(effort="high"), None, [("reasoning.effort", "dropped")]),
        ("effort", ReasoningAsked(budget_tokens=1500), {"effort": "minimal"}, [("reasoning.budget_tokens", "changed")]),
        ("effort", ReasoningAsked(budget_tokens=60_000), {"effort": "xhigh"}, [("reasoning.budget_tokens", "changed")]),
    ],
)
def test_reasoning_is_asked_for_as_the_model_takes_it(
    thinking: Any, reasoning: ReasoningAsked, expected: Any, lost: list[tuple[str, str]]
) -> None:
    losses = Told()
    target = msgspec.structs.replace(TARGET, thinking=thinking)
    body = written(asking(reasoning=reasoning), target, losses)
    assert body.get("reasoning") == expected
    assert losses.names == lost
    assert body["include"] == ([] if thinking == "never" else ["reasoning.encrypted_content"])


def test_what_a_model_refuses_is_not_sent() -> None:
    losses = Told()
    target = msgspec.structs.replace(TARGET, drops=("temperature", "top_p", "end_user", "verbosity"))
    body = written(asking(temperature=1.0, end_user="u", verbosity="low"), target, losses)
    assert not {"temperature", "top_p", "user", "text"} & set(body)
    assert sorted(losses.names) == [("end_user", "dropped"), ("temperature", "dropped"), ("verbosity", "dropped")]


def test_errors_and_media_in_results() -> None:
    image = Media(kind="image", media_type="image/png", data="AAAA")
    turns = [
        user(
            ToolResult(call_id="a", parts=[Text(text="no")], is_error=True),
            ToolResult(call_id="b", parts=[Text(text="see"), image]),
            "and?",
        )
    ]
    items = written(asking(*turns))["input"]
    assert [item["type"] for item in items] == ["function_call_output", "function_call_output", "message"]
    assert items[0]["output"] == "Error: no"
    assert items[1]["output"][1] == {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}


def test_a_schema_without_a_name_gets_one() -> None:
    form = OutputFormat(kind="json_schema", schema=Raw(b'{"type":"object"}'), strict=True)
    body = written(asking(output_format=form))
    assert body["text"]["format"] == {
        "type": "json_schema",
        "name": "answer",
        "schema": {"type": "object"},
        "strict": True,
    }


def test_what_rests_on_the_providers_own_memory_is_told_apart() -> None:
    def needs(**more: object) -> list[str]:
        body = msgspec.json.encode({"model": "m", "input": "hi", **more})
        return read_request(openai_responses.read_request(body)).needs

    assert needs(prompt={"id": "pmpt_1"}) == ["prompt"]
    assert needs(input=[{"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}]) == ["compaction"]
