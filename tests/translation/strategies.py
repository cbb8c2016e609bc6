"""Exchange values for laws: requests, answers, and the ways in which an answer can come as events.

What a strategy makes is in its plainest form: no empty text, no two neighbours that are one. So whatever reads and
writes it can be held to giving the same back. `Scope` says what a protocol can say at all.
"""

from __future__ import annotations

import string
from typing import Any, Literal, get_args

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from msgspec import Raw

from trunkline.translation.exchange import (
    Answer,
    ArgumentsDelta,
    Began,
    CallBegan,
    Choice,
    Ended,
    Event,
    Finished,
    Lifetime,
    Media,
    Opaque,
    OutputFormat,
    Part,
    PartCame,
    Reasoning,
    ReasoningAsked,
    ReasoningDelta,
    Refusal,
    RefusalDelta,
    Request,
    Role,
    State,
    StateCame,
    Stop,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Usage,
    Used,
)

Kind = Literal["image", "document", "audio", "video"]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What of the neutral form a strategy may use."""

    protocol: str = "openai_chat"
    media: tuple[Kind, ...] = ("image", "document", "audio")
    media_sources: tuple[str, ...] = ("data", "url", "file_id")
    media_in_results: bool = False
    errors_in_results: bool = False
    custom_tools: bool = True
    names: bool = True
    cache: bool = True
    refusals: bool = True
    summaries: bool = False
    reasoning_text: bool = True
    state: bool = True
    text_state: bool = False
    call_state: bool = False
    state_origin: str = "made-by"
    choices: int = 2
    stops: tuple[Stop, ...] = get_args(Stop)
    media_in_answers: tuple[Kind, ...] = ()


ANYTHING = Scope(
    media=("image", "document", "audio", "video"),
    media_sources=("data", "url", "file_id", "text"),
    media_in_results=True,
    errors_in_results=True,
    summaries=True,
    text_state=True,
    call_state=True,
    media_in_answers=("image", "audio"),
)

LETTERS = string.ascii_letters + string.digits
# What breaks parsers: the line separators that JSON allows and JavaScript did not, escapes of half a pair, line ends.
AWKWARD = (
    "\u2028\u2029",
    "\\ud83d",
    '"quoted"\\',
    "line\r\nnext\n\n",
    "data: [DONE]",
    "\U0001f600\u0301",
    "\u0000\x1f\x7f",
    "</think>",
    "{}",
)


def texts() -> SearchStrategy[str]:
    """Not empty; any Unicode that UTF-8 can say."""
    plain = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
    return st.one_of(plain, st.sampled_from(AWKWARD), st.tuples(plain, st.sampled_from(AWKWARD)).map("".join))


def names() -> SearchStrategy[str]:
    """Of tools and schemas: what every protocol allows."""
    return st.text(LETTERS + "_-", min_size=1, max_size=12).map("n".__add__)


def ids() -> SearchStrategy[str]:
    return st.text(LETTERS, min_size=8, max_size=16).map("call_".__add__)


def json_values() -> SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts()
    return leaves | st.lists(leaves, max_size=2) | st.dictionaries(names(), leaves, max_size=2)


def _raw(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))


def arguments() -> SearchStrategy[str]:
    """The text of a JSON object, as a model may write it."""
    usual = st.dictionaries(names(), json_values(), min_size=1, max_size=3).map(
        lambda value: msgspec.json.encode(value).decode()
    )
    odd = st.sampled_from(('{"a": 1.0, "b":12345678901234567890}', '{"a":"\\ud800"}', '{"path":"\u2028"}', "{}"))
    return st.one_of(usual, odd)


def schemas() -> SearchStrategy[Raw]:
    properties = st.dictionaries(names(), st.sampled_from([{"type": "string"}, {"type": "integer"}]), max_size=3)
    return properties.map(lambda fields: _raw({"type": "object", "properties": fields, "required": sorted(fields)}))


def lifetimes(scope: Scope) -> SearchStrategy[Lifetime | None]:
    if not scope.cache:
        return st.none()
    lifetime: SearchStrategy[Lifetime] = st.sampled_from(get_args(Lifetime))
    return st.one_of(st.none(), lifetime)


def states(scope: Scope) -> SearchStrategy[State]:
    return st.text(LETTERS + "+/=", min_size=1, max_size=24).map(lambda data: State(scope.state_origin, data))


_TYPES: dict[Kind, tuple[str, ...]] = {
    "image": ("image/png", "image/jpeg"),
    "document": ("application/pdf",),
    "audio": ("audio/wav", "audio/mpeg"),
    "video": ("video/mp4",),
}


@st.composite
def media(draw: DrawFn, scope: Scope, kinds: tuple[Kind, ...] | None = None) -> Media:
    kind = draw(st.sampled_from(kinds or scope.media))
    possible: tuple[str, ...] = {
        "image": ("data", "url", "file_id"),
        "document": ("data", "url", "file_id", "text"),
        "audio": ("data",),
        "video": ("data", "url"),
    }[kind]
    source = draw(st.sampled_from([one for one in possible if one in scope.media_sources]))
    made = Media(kind=kind, cache=draw(lifetimes(scope)))
    if source == "data":
        made.media_type = draw(st.sampled_from(_TYPES[kind]))
        made.data = draw(st.sampled_from(("aGVsbG8=", "JVBERi0xLjQK", "AAAA")))
    elif source == "url":
        made.url = draw(names().map(lambda name: f"https://media.example/{name}?a=1&b=2"))
    elif source == "file_id":
        made.file_id = draw(names().map("file-".__add__))
    else:
        made.text = draw(texts())
        made.media_type = "text/plain"
    if kind == "image":
        made.detail = draw(st.sampled_from((None, "low", "high")))
    if kind == "document" and draw(st.booleans()):
        made.name = draw(names()) + ".pdf"
    return made


@st.composite
def text_parts(draw: DrawFn, scope: Scope) -> Text:
    return Text(text=draw(texts()), cache=draw(lifetimes(scope)))


@st.composite
def user_turns(draw: DrawFn, scope: Scope) -> Turn:
    content: SearchStrategy[Part] = text_parts(scope)
    if scope.media:
        content = st.one_of(content, media(scope))
    name = draw(st.none() | names()) if scope.names else None
    return Turn(role="user", parts=draw(st.lists(content, min_size=1, max_size=3)), name=name)


@st.composite
def reasoning_parts(draw: DrawFn, scope: Scope) -> Reasoning:
    """With text, with summaries, or hidden: at least one of text, summaries and state is there."""
    forms = [form for form in ("text", "summaries") if getattr(scope, {"text": "reasoning_text"}.get(form, form))]
    form = draw(st.sampled_from([*forms, "hidden"] if scope.state else forms))
    part = Reasoning()
    if form == "text":
        part.text = draw(texts())
    elif form == "summaries":
        part.summaries = draw(st.lists(texts(), min_size=1, max_size=2))
    if form == "hidden" or (scope.state and draw(st.booleans())):
        part.state = draw(states(scope))
    return part


@st.composite
def tool_calls(draw: DrawFn, scope: Scope) -> ToolCall:
    custom = scope.custom_tools and draw(st.integers(0, 4)) == 0
    return ToolCall(
        id=draw(ids()),
        name=draw(names()),
        arguments=draw(texts() if custom else arguments()),
        custom=custom,
        state=draw(states(scope)) if scope.call_state and draw(st.booleans()) else None,
    )


def _distinct_calls(scope: Scope, least: int) -> SearchStrategy[list[ToolCall]]:
    return st.lists(tool_calls(scope), min_size=least, max_size=3, unique_by=lambda call: call.id)


@st.composite
def answered_parts(draw: DrawFn, scope: Scope) -> list[Part]:
    """What a model says: reasoning, then one text or a refusal, then calls. Never nothing."""
    parts: list[Part] = []
    if (scope.reasoning_text or scope.summaries or scope.state) and draw(st.integers(0, 2)) == 0:
        parts.append(draw(reasoning_parts(scope)))
    said = draw(st.sampled_from(("text", "calls", "both", "refusal" if scope.refusals else "text")))
    if said in ("text", "both"):
        text = Text(text=draw(texts()))
        if scope.text_state and draw(st.booleans()):
            text.state = draw(states(scope))
        parts.append(text)
    if said == "refusal":
        parts.append(Refusal(draw(texts())))
    if said in ("calls", "both"):
        parts += draw(_distinct_calls(scope, 1))
    if scope.media_in_answers and said == "text" and draw(st.integers(0, 3)) == 0:
        data_only = msgspec.structs.replace(scope, media_sources=("data",), cache=False)
        parts.append(msgspec.structs.replace(draw(media(data_only, scope.media_in_answers)), detail=None))
    return parts


@st.composite
def result_parts(draw: DrawFn, call: ToolCall, scope: Scope) -> ToolResult:
    content: SearchStrategy[Any] = text_parts(scope)
    if scope.media_in_results:
        data_only = msgspec.structs.replace(scope, media=("image",))
        content = st.one_of(content, media(data_only))
    return ToolResult(
        call_id=call.id,
        parts=draw(st.lists(content, min_size=1, max_size=2)),
        is_error=scope.errors_in_results and draw(st.integers(0, 3)) == 0,
        custom=call.custom,
        cache=draw(lifetimes(scope)),
    )


@st.composite
def conversations(draw: DrawFn, scope: Scope) -> list[Turn]:
    """Instructions or none, then rounds: a question, and perhaps an answer with the results of its calls."""
    turns: list[Turn] = []
    if draw(st.booleans()):
        role: Role = draw(st.sampled_from(("system", "developer")))
        turns.append(Turn(role=role, parts=list(draw(st.lists(text_parts(scope), min_size=1, max_size=2)))))
    seen: set[str] = set()
    for _ in range(draw(st.integers(0, 2))):
        turns.append(draw(user_turns(scope)))
        parts = draw(answered_parts(msgspec.structs.replace(scope, media_in_answers=())))
        calls = [part for part in parts if isinstance(part, ToolCall)]
        if seen.intersection(call.id for call in calls):
            parts, calls = [Text(text="again")], []
        seen.update(call.id for call in calls)
        turns.append(Turn(role="assistant", parts=parts))
        turns += [Turn(role="user", parts=[draw(result_parts(call, scope))]) for call in calls]
    turns.append(draw(user_turns(scope)))
    return turns


@st.composite
def tools(draw: DrawFn, scope: Scope) -> Tool:
    described = draw(st.none() | texts())
    cache = draw(lifetimes(scope))
    if scope.custom_tools and draw(st.integers(0, 4)) == 0:
        return Tool(name=draw(names()), description=described, custom=True, format=_raw({"type": "text"}), cache=cache)
    return Tool(
        name=draw(names()),
        description=described,
        parameters=draw(schemas()),
        strict=draw(st.sampled_from((None, True, False))),
        cache=cache,
    )


@st.composite
def tool_choices(draw: DrawFn, offered: list[Tool]) -> ToolChoice:
    mode: Literal["auto", "none", "required"] = draw(st.sampled_from(("auto", "none", "required")))
    if mode == "none" or draw(st.booleans()):
        return ToolChoice(mode=mode)
    chosen = draw(st.lists(st.sampled_from([tool.name for tool in offered]), min_size=1, max_size=2, unique=True))
    return ToolChoice(mode=mode, names=tuple(chosen))


@st.composite
def output_formats(draw: DrawFn) -> OutputFormat:
    kinds: tuple[Literal["text", "json_object", "json_schema"], ...] = ("text", "json_object", "json_schema")
    kind = draw(st.sampled_from(kinds))
    if kind != "json_schema":
        return OutputFormat(kind=kind)
    return OutputFormat(
        kind=kind,
        name=draw(names()),
        description=draw(st.none() | texts()),
        schema=draw(schemas()),
        strict=draw(st.sampled_from((None, True, False))),
    )


def _sometimes(strategy: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


PARAMETERS: dict[str, SearchStrategy[Any]] = {
    "max_tokens": st.integers(1, 100_000),
    "temperature": st.sampled_from((0.0, 0.7, 1.0)),
    "top_p": st.sampled_from((0.1, 1.0)),
    "top_k": st.integers(1, 100),
    "presence_penalty": st.sampled_from((-2.0, 0.5)),
    "frequency_penalty": st.sampled_from((-0.5, 2.0)),
    "logit_bias": st.just(Raw(b'{"50256":-100}')),
    "logprobs": st.just(True),
    "seed": st.integers(0, 2**31),
    "verbosity": st.sampled_from(("low", "high")),
    "metadata": st.dictionaries(names(), texts(), min_size=1, max_size=2),
    "end_user": names(),
    "safety_identifier": names(),
    "service_tier": st.sampled_from(("auto", "default")),
    "cache_key": names(),
}
"""Plain fields of a request, by neutral name."""


@st.composite
def requests(draw: DrawFn, scope: Scope = ANYTHING, parameters: tuple[str, ...] | None = None) -> Request:
    """`parameters` are those that may be said; None: all. Reasoning is asked for by effort, or not at all."""
    offered = draw(st.lists(tools(scope), max_size=3, unique_by=lambda tool: tool.name))
    said = tuple(PARAMETERS) if parameters is None else parameters
    chosen = draw(st.sets(st.sampled_from(said), max_size=4)) if said else set()
    return Request(
        protocol=scope.protocol,
        model=draw(names()),
        turns=draw(conversations(scope)),
        stream=draw(st.booleans()),
        tools=list(offered),
        tool_choice=draw(_sometimes(tool_choices(offered))) if offered else None,
        parallel_tool_calls=draw(st.sampled_from((None, True, False))) if offered else None,
        output_format=draw(_sometimes(output_formats())),
        reasoning=draw(
            st.builds(
                ReasoningAsked,
                effort=st.sampled_from((None, "low", "medium", "high")),
                shown=st.booleans(),
                state_wanted=st.booleans(),
            )
        ),
        stop=draw(st.lists(texts(), max_size=2, unique=True)),
        **{name: draw(PARAMETERS[name]) for name in sorted(chosen)},
    )


@st.composite
def usages(draw: DrawFn) -> Usage:
    cached, written, fresh = draw(st.tuples(*[st.integers(0, 5000)] * 3))
    reasoning, said = draw(st.tuples(*[st.integers(0, 5000)] * 2))
    return Usage(
        input_tokens=cached + written + fresh,
        output_tokens=reasoning + said,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


def _stop_of(draw: DrawFn, parts: list[Part], scope: Scope) -> Stop:
    """A reason that goes with what was said."""
    if any(isinstance(part, ToolCall) for part in parts):
        return "tool"
    if any(isinstance(part, Refusal) for part in parts):
        return "refusal"
    possible: list[Stop] = [stop for stop in scope.stops if stop not in ("tool", "refusal", "pause", "stop_sequence")]
    return draw(st.sampled_from(possible or ["end"]))


@st.composite
def answers(draw: DrawFn, scope: Scope = ANYTHING) -> Answer:
    choices = []
    for _ in range(draw(st.integers(1, scope.choices))):
        parts = draw(answered_parts(scope))
        choices.append(Choice(parts=parts, stop=_stop_of(draw, parts, scope)))
    return Answer(
        id=draw(names()),
        model=draw(names()),
        created=draw(st.integers(1, 2**31)),
        choices=choices,
        usage=draw(usages()),
    )


def _cut(draw: DrawFn, text: str) -> list[str]:
    """In up to four pieces, none empty."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=3))) if len(text) > 1 else []
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True) if start < end]


def part_events(draw: DrawFn, choice: int, index: int, part: Part) -> list[Event]:
    """One part as the events that tell of it."""
    events: list[Event] = []
    if isinstance(part, Text):
        events += [TextDelta(choice, index, piece) for piece in _cut(draw, part.text)]
    elif isinstance(part, Refusal):
        events += [RefusalDelta(choice, index, piece) for piece in _cut(draw, part.text)]
    elif isinstance(part, Reasoning):
        events += [ReasoningDelta(choice, index, piece) for piece in _cut(draw, part.text) if piece]
        for number, summary in enumerate(part.summaries):
            events += [ReasoningDelta(choice, index, piece, number) for piece in _cut(draw, summary)]
    elif isinstance(part, ToolCall):
        events.append(CallBegan(choice, index, part.id, part.name, part.custom))
        events += [ArgumentsDelta(choice, index, piece) for piece in _cut(draw, part.arguments) if piece]
    elif isinstance(part, Media | Opaque):
        events.append(PartCame(choice, index, part))
    state = part.state if isinstance(part, Text | Reasoning | ToolCall) else None
    if state is not None:
        events.append(StateCame(choice, index, state))
    return events


def _opening(draw: DrawFn, queues: list[list[Event]]) -> list[Event]:
    """Merged at random, but the first event of each queue comes after the first of the one before: parts are numbered
    in the order of appearance."""
    merged: list[Event] = []
    opened = 0
    waiting = [list(reversed(queue)) for queue in queues]
    while any(waiting):
        ready = [at for at in range(min(opened + 1, len(waiting))) if waiting[at]]
        if not ready:
            opened += 1
            continue
        at = draw(st.sampled_from(ready))
        opened = max(opened, at + 1)
        merged.append(waiting[at].pop())
    return merged


@st.composite
def streams_of(draw: DrawFn, answer: Answer, *, mixed: bool = True) -> list[Event]:
    """Events that tell of `answer`. `mixed`: tool calls of one choice may come interleaved, as may several choices;
    else part after part."""
    bodies: list[list[Event]] = []
    for number, choice in enumerate(answer.choices):
        queues = [part_events(draw, number, index, part) for index, part in enumerate(choice.parts)]
        first_call = next((at for at, part in enumerate(choice.parts) if isinstance(part, ToolCall)), len(queues))
        body = [event for queue in queues[:first_call] for event in queue]
        calls = queues[first_call:]
        body += _opening(draw, calls) if mixed else [event for queue in calls for event in queue]
        bodies.append([*body, Finished(number, choice.stop, choice.stop_sequence)])
    events: list[Event] = [Began(answer.id, answer.model, answer.created)]
    events += _opening(draw, bodies) if mixed else [event for body in bodies for event in body]
    if answer.usage is not None:
        events.append(Used(answer.usage))
    return [*events, Ended()]


@st.composite
def told(draw: DrawFn, scope: Scope = ANYTHING, *, mixed: bool = True) -> tuple[Answer, list[Event]]:
    """An answer, and one way in which it may come."""
    answer = draw(answers(scope))
    return answer, draw(streams_of(answer, mixed=mixed))


@st.composite
def splits(draw: DrawFn, data: bytes, most: int = 6) -> list[bytes]:
    """The same bytes in pieces cut anywhere, inside characters too."""
    places = sorted(draw(st.sets(st.integers(0, len(data)), max_size=most)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
