"""The table of losses: whatever is told is in it, and every line of it is met."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from tests.thoroughness import examples
from tests.translation import strategies
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    ReasoningAsked,
    Request,
    Role,
    Stop,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
)
from trunkline.translation.losses import Losses
from trunkline.translation.openai_chat.losses import LOSSES
from trunkline.translation.openai_chat.translator import TRANSLATOR
from trunkline.translation.target import Target, Thinking

TARGET = Target(provider_id="p", model_id="p/m", upstream="m")
KNOWN = {(loss.how, loss.name) for loss in LOSSES if loss.direction == "request"}


def test_no_line_stands_there_twice() -> None:
    keys = [(loss.name, loss.how, loss.direction) for loss in LOSSES]
    assert len(keys) == len(set(keys))


@settings(max_examples=examples(80))
@given(
    strategies.requests(msgspec.structs.replace(strategies.ANYTHING, protocol="anthropic_messages")),
    st.sampled_from((None, "effort", "budget", "adaptive", "always", "never")),
    st.booleans(),
)
def test_every_loss_that_is_told_is_in_the_table(request: Request, thinking: Thinking | None, hints: bool) -> None:
    target = msgspec.structs.replace(TARGET, thinking=thinking, takes_cache_control=hints)
    losses = Losses("p/m", {})
    told: set[tuple[str | None, ...]] = set()
    try:
        TRANSLATOR.write_request(request, target, losses)
    except InvalidRequest as refused:
        told.add(("refused", refused.param))
    told.update(tuple(warning.split(":")[0].split(" ")) for warning in losses.warnings)
    assert told <= KNOWN


def asks(*parts: Part, role: Role = "user", **fields: Any) -> Request:
    return Request(
        protocol="anthropic_messages", model="m", turns=[Turn(role=role, parts=[*parts, Text(text="?")])], **fields
    )


def write(request: Request) -> tuple[dict[str, Any], list[str]]:
    losses = Losses("p/m", {})
    body: dict[str, Any] = msgspec.json.decode(TRANSLATOR.write_request(request, TARGET, losses))
    return body, [warning.split(":")[0] for warning in losses.warnings]


IMAGE = Media(kind="image", media_type="image/png", data="AAAA")
SEARCH = Opaque("anthropic_messages", Raw(b"{}"), "server_tool_use")
FILM = Media(kind="video", url="https://media.example/film")
WARNED: dict[tuple[str, str], tuple[Request, str]] = {
    ("reasoning", "dropped"): (asks(Reasoning(text="Hm"), role="assistant"), "dropped reasoning"),
    ("reasoning", "changed"): (asks(reasoning=ReasoningAsked(budget_tokens=5000)), "changed reasoning"),
    ("tool_result.media", "changed"): (asks(ToolResult(call_id="c", parts=[IMAGE])), "changed tool_result.media"),
    ("tool_result.is_error", "changed"): (
        asks(ToolResult(call_id="c", parts=[], is_error=True)),
        "changed tool_result.is_error",
    ),
    ("turns.order", "changed"): (asks(ToolCall(id="c", name="f"), role="assistant"), "changed turns.order"),
    ("media.document", "changed"): (asks(Media(kind="document", text="T")), "changed media.document"),
    ("media.audio", "changed"): (asks(Media(kind="audio", text="T"), role="assistant"), "changed media.audio"),
    ("media.video", "dropped"): (asks(FILM, role="assistant"), "dropped media.video"),
    ("media.image", "dropped"): (asks(IMAGE, role="assistant"), "dropped media.image"),
    ("cache", "dropped"): (asks(cache="5m"), "dropped cache"),
    ("top_k", "dropped"): (asks(top_k=4), "dropped top_k"),
    ("metadata", "dropped"): (asks(metadata={"a": "b"}), "dropped metadata"),
    ("service_tier", "dropped"): (asks(service_tier="batch"), "dropped service_tier"),
    ("stop", "clamped"): (asks(stop=list("abcde")), "clamped stop"),
    ("tools.*", "dropped"): (asks(tools=[SEARCH]), "dropped tools.server_tool_use"),
    ("content.*", "dropped"): (asks(SEARCH), "dropped server_tool_use"),
    ("extras.*", "dropped"): (asks(extras={"container": Raw(b"1")}), "dropped container"),
}
REFUSED: dict[str, Request] = {
    "media.image": asks(Media(kind="image", file_id="f")),
    "media.audio": asks(Media(kind="audio", url="https://media.example/a")),
    "media.video": asks(Media(kind="video", file_id="f")),
}


def text_of(request: Request) -> Any:
    return write(request)[0]["messages"]


# Nothing is said of these: what is asked for is not changed by them.
SILENT: dict[tuple[str, str], Callable[[], bool]] = {
    ("turns.parts", "changed"): lambda: text_of(asks(Text(text="A"))) == [{"role": "user", "content": "A\n\n?"}],
    ("turns.role", "changed"): lambda: text_of(asks(role="developer")) == [{"role": "system", "content": "?"}],
    ("reasoning.summary", "dropped"): lambda: (
        write(asks(reasoning=ReasoningAsked(summary="auto"))) == (write(asks())[0], [])
    ),
}


@pytest.mark.parametrize("line", WARNED, ids=" ".join)
def test_a_line_with_a_warning(line: tuple[str, str]) -> None:
    request, warning = WARNED[line]
    assert write(request)[1] == [warning]
    with pytest.raises(InvalidRequest):
        TRANSLATOR.write_request(request, TARGET, Losses("p/m", {}, strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_that_refuses(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        write(REFUSED[name])
    assert refused.value.param == name


@pytest.mark.parametrize("line", SILENT, ids=" ".join)
def test_a_line_without_a_warning(line: tuple[str, str]) -> None:
    assert SILENT[line]()


def answered(*parts: Part, stop: Stop = "end", legacy: bool = False, **more: Any) -> bytes:
    choice = Choice(parts=list(parts), stop=stop, stop_sequence="###" if stop == "stop_sequence" else None)
    request = Request(protocol="openai_chat", model="m", turns=[], legacy_functions=legacy)
    return TRANSLATOR.write_answer(Answer(id="a", model="m", choices=[choice], **more), request)


ANSWERED: dict[tuple[str, str], tuple[bytes, bytes]] = {
    ("text.citations", "dropped"): (answered(Text(text="a", citations=Raw(b"[1]"))), answered(Text(text="a"))),
    ("turns.order", "changed"): (
        answered(ToolCall(id="c", name="f"), Text(text="a"), stop="tool"),
        answered(Text(text="a"), ToolCall(id="c", name="f"), stop="tool"),
    ),
    ("stop_sequence", "dropped"): (answered(stop="stop_sequence"), answered()),
    ("stop.pause", "changed"): (answered(stop="pause"), answered()),
    ("opaque", "dropped"): (answered(SEARCH), answered()),
    ("media.document", "dropped"): (answered(Media(kind="document", data="AAAA")), answered()),
    ("usage.cache_write_1h_tokens", "dropped"): (
        answered(usage=Usage(input_tokens=2, output_tokens=1, cache_write_tokens=2, cache_write_1h_tokens=2)),
        answered(usage=Usage(input_tokens=2, output_tokens=1, cache_write_tokens=2)),
    ),
    ("tool_calls", "dropped"): (
        answered(ToolCall(id="c", name="f"), ToolCall(id="d", name="g"), stop="tool", legacy=True),
        answered(ToolCall(id="c", name="f"), stop="tool", legacy=True),
    ),
}


@pytest.mark.parametrize("line", ANSWERED, ids=" ".join)
def test_a_line_of_answers(line: tuple[str, str]) -> None:
    """What is lost makes no difference to what the caller gets."""
    with_it, without_it = ANSWERED[line]
    assert with_it == without_it


def test_every_line_is_met() -> None:
    requests = {*WARNED, *SILENT, *((name, "refused") for name in REFUSED)}
    assert requests == {(loss.name, loss.how) for loss in LOSSES if loss.direction == "request"}
    assert ANSWERED.keys() == {(loss.name, loss.how) for loss in LOSSES if loss.direction == "answer"}
