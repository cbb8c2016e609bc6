"""The table of losses tells the truth: each line is met, and whatever is told stands in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.gemini.exchanges import GEMINI_3, GEMINI_25, answered, asked, sent
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import (
    Answer,
    Choice,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    ReasoningAsked,
    Refusal,
    Request,
    Role,
    State,
    Stop,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Usage,
)
from trunkline.translation.gemini.answer import write_answer
from trunkline.translation.gemini.losses import LOSSES
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target


class Recorded(Losses):
    """Keeps names as the table has them."""

    def __init__(self) -> None:
        super().__init__("m", {})
        self.told: set[tuple[str, str]] = set()

    def _lost(self, name: str, how: str, why: str) -> None:
        self.told.add((name, how))

    def refused(self, name: str, sentence: str) -> InvalidRequest:
        self.told.add((name, "refused"))
        return super().refused(name, sentence)


def plain(**more: Any) -> Request:
    return msgspec.structs.replace(saying(Text(text="Hi")), **more)


def saying(*parts: Part, role: Role = "user", before: tuple[Turn, ...] = ()) -> Request:
    return Request(protocol="openai_chat", model="m", turns=[*before, Turn(role=role, parts=list(parts))])


def thinking(**more: Any) -> Request:
    return plain(reasoning=ReasoningAsked(**more))


QUESTION = Turn(role="user", parts=[Text(text="Hi")])
CALL = Turn(role="assistant", parts=[ToolCall(id="1", name="f")])
PICTURE = Media(kind="image", url="https://a/b.png", detail="high", name="n", cache="5m")
SCHEMA = OutputFormat(kind="json_schema", schema=Raw(b"{}"), description="d")
FUNCTION: list[Tool | Opaque] = [Tool(name="f", strict=True)]
NEVER = Target(provider_id="google", model_id="m", upstream="gemini-2.0-flash", thinking="never")
SMALL = msgspec.structs.replace(GEMINI_3, max_output_tokens=5)
DROPS = msgspec.structs.replace(GEMINI_3, drops=("temperature",))

REQUESTS: list[tuple[tuple[str, str], Request, Target]] = [
    (("n", "refused"), plain(n=9), GEMINI_3),
    (("logit_bias", "dropped"), plain(logit_bias=Raw(b"{}")), GEMINI_3),
    (("verbosity", "dropped"), plain(verbosity="low"), GEMINI_3),
    (("metadata", "dropped"), plain(metadata={}), GEMINI_3),
    (("end_user", "dropped"), plain(end_user="u"), GEMINI_3),
    (("safety_identifier", "dropped"), plain(safety_identifier="s"), GEMINI_3),
    (("cache_key", "dropped"), plain(cache_key="k"), GEMINI_3),
    (("cache", "dropped"), plain(cache="1h"), GEMINI_3),
    (("service_tier", "dropped"), plain(service_tier="scale"), GEMINI_3),
    (("parallel_tool_calls", "dropped"), plain(tools=[Tool(name="f")], parallel_tool_calls=False), GEMINI_3),
    (("max_tokens", "clamped"), plain(max_tokens=6), SMALL),
    (("top_logprobs", "clamped"), plain(logprobs=True, top_logprobs=21), GEMINI_3),
    (("seed", "changed"), plain(seed=2**40), GEMINI_3),
    (("stop", "clamped"), plain(stop=list("abcdef")), GEMINI_3),
    (("turns", "changed"), saying(Text(text="s"), role="system", before=(QUESTION,)), GEMINI_3),
    (("turns", "refused"), saying(ToolResult(call_id="x", parts=[])), GEMINI_3),
    (("turns.name", "dropped"), plain(turns=[Turn(role="user", parts=[Text(text="x")], name="u")]), GEMINI_3),
    (("output_format", "changed"), plain(tools=[Tool(name="f")], output_format=SCHEMA), GEMINI_25),
    (("output_format.description", "dropped"), plain(output_format=SCHEMA), GEMINI_3),
    (("tools.custom", "dropped"), plain(tools=[Tool(name="f", custom=True)]), GEMINI_3),
    (("tools.strict", "dropped"), plain(tools=FUNCTION), GEMINI_3),
    (("tools.*", "dropped"), plain(tools=[Opaque("openai_chat", Raw(b"{}"), "search")]), GEMINI_3),
    (("tool_choice", "changed"),
     plain(tools=[Tool(name="f")], tool_choice=ToolChoice(mode="auto", names=("f",))), GEMINI_3),
    (("tool_choice", "refused"), plain(tool_choice=ToolChoice(mode="required")), GEMINI_3),
    (("tool_calls.arguments", "refused"),
     saying(ToolCall(id="1", name="f", arguments="x"), role="assistant"), GEMINI_3),
    (("tool_calls.arguments", "changed"),
     saying(ToolCall(id="1", name="f", arguments='{"a":"\\ud800"}'), role="assistant"), GEMINI_3),
    (("tool_result.parts", "changed"),
     saying(ToolResult(call_id="1", parts=[Text(text="a"), Text(text="b")]), before=(QUESTION, CALL)), GEMINI_3),
    (("tool_result.media", "changed"),
     saying(ToolResult(call_id="1", parts=[Media(kind="image", url="https://a/b")]), before=(QUESTION, CALL)),
     GEMINI_3),
    (("reasoning", "changed"), saying(Reasoning(text="a"), Text(text="b"), role="assistant"), GEMINI_3),
    (("reasoning", "clamped"), thinking(budget_tokens=99_999), GEMINI_25),
    (("reasoning", "dropped"), thinking(effort="low"), NEVER),
    (("reasoning.effort", "clamped"), thinking(effort="max"), GEMINI_3),
    (("citations", "dropped"), saying(Text(text="a", citations=Raw(b"[]"))), GEMINI_3),
    (("media.audio", "changed"), saying(Media(kind="audio", text="said")), GEMINI_3),
    (("media.*", "refused"), saying(Media(kind="image", data="AAAA")), GEMINI_3),
    (("media.file_id", "refused"), saying(Media(kind="image", file_id="x")), GEMINI_3),
    (("media.detail", "dropped"), saying(PICTURE), GEMINI_3),
    (("media.name", "dropped"), saying(PICTURE), GEMINI_3),
    (("parts.partMetadata", "dropped"),
     asked(contents=[{"parts": [{"text": "a", "partMetadata": {"b": 1}}]}]), GEMINI_3),
    (("opaque", "dropped"), saying(Text(text="a"), Opaque("openai_chat", Raw(b"{}"), "opaque")), GEMINI_3),
    (("extras", "dropped"), plain(extras={"extras": Raw(b"1")}), GEMINI_3),
    (("drops", "dropped"), plain(temperature=1.0), DROPS),
]  # fmt: skip
# What is told under a name of its own stands in the table under what such names have in common.
COMMON = {"tools.search": "tools.*", "media.image": "media.*", "temperature": "drops"}


@pytest.mark.parametrize(
    ("loss", "request_", "target"), REQUESTS, ids=lambda value: str(value) if isinstance(value, tuple) else ""
)
def test_every_loss_of_a_request_is_met(loss: tuple[str, str], request_: Request, target: Target) -> None:
    losses = Recorded()
    try:
        sent(request_, target, losses)
    except InvalidRequest:
        assert loss[1] == "refused"
    told = {(COMMON.get(name, name), how) for name, how in losses.told}
    assert loss in told
    assert told <= {(line.name, line.how) for line in LOSSES if line.direction == "request"}


def test_the_cases_are_the_table() -> None:
    assert {loss for loss, _, _ in REQUESTS} == {
        (line.name, line.how) for line in LOSSES if line.direction == "request"
    }
    assert set(ANSWERS) == {line.name for line in LOSSES if line.direction == "answer"}
    assert all(line.why.endswith(".") for line in LOSSES)


def body(*parts: Part, stop: Stop = "end", **more: Any) -> str:
    answer = Answer(id="r", model="m", choices=[Choice(parts=list(parts), stop=stop, stop_sequence="zz")], **more)
    return write_answer(answer, plain()).decode()


ANSWERS: dict[str, Callable[[], bool]] = {
    "opaque": lambda: "qq" not in body(Opaque("other", Raw(b'"qq"'))),
    "citations": lambda: "qq" not in body(Text(text="a", citations=Raw(b'["qq"]'))),
    "media.file_id": lambda: "qq" not in body(Media(kind="image", file_id="qq")),
    "reasoning": lambda: "qq" not in body(Reasoning(text="qq", state=State("a", "b"))),
    "reasoning.summaries": lambda: (
        "a\\n\\nb"
        in write_answer(
            Answer(id="", model="", choices=[Choice(parts=[Reasoning(summaries=["a", "b"])], stop="end")]),
            plain(reasoning=ReasoningAsked(shown=True)),
        ).decode()
    ),
    "refusal": lambda: '{"text":"qq"}' in (said := body(Refusal("qq"), stop="refusal")) and '"SAFETY"' in said,
    "stop_sequence": lambda: "zz" not in (said := body(stop="stop_sequence")) and '"STOP"' in said,
    "stop.pause": lambda: '"STOP"' in body(stop="pause"),
    "service_tier": lambda: "qq" not in body(service_tier="qq"),
    "created": lambda: "98765" not in body(created=98765),
    "usage.cache_write_tokens": lambda: (
        "9876" not in body(usage=Usage(input_tokens=10_000, output_tokens=1, cache_write_tokens=9876))
    ),
    "tool_calls.arguments": lambda: '"args":{"input":"qq"}' in body(ToolCall(id="a", name="f", arguments="qq")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_loss_of_an_answer_is_met(name: str) -> None:
    assert ANSWERS[name]()


def test_an_answer_of_this_protocols_provider_loses_its_grounding() -> None:
    """It names places in Google's way."""
    answer = answered({"text": "a"}, groundingMetadata={"webSearchQueries": ["b"]})
    assert answer.choices == [Choice(parts=[Text(text="a")], stop="end")]
