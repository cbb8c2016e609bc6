"""The laws of the crossing: nothing that can be said is lost, and a stream says what the whole answer says."""

from __future__ import annotations

import copy
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from tests.translation import strategies
from tests.translation.gemini import shape
from tests.translation.gemini.exchanges import CORPUS, GEMINI_3, asked, collected, read_stream, said
from tests.translation.strategies import Scope
from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.translation.exchange import (
    Answer,
    Ended,
    Event,
    Media,
    Reasoning,
    ReasoningAsked,
    Refusal,
    Request,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.translation.gemini.translator import TRANSLATOR
from trunkline.translation.losses import Losses
from trunkline.wire import codec, gemini

ASKED = Request(protocol="gemini", model="m", turns=[], reasoning=ReasoningAsked(shown=True), n=2)
MIXED = Scope(protocol="gemini", summaries=True, text_state=True, call_state=True, media_in_answers=("image",))
TOLD = strategies.told(MIXED) | strategies.told(MIXED, mixed=False)
SHOWN = st.booleans().map(lambda shown: msgspec.structs.replace(ASKED, reasoning=ReasoningAsked(shown=shown)))
GOOD = sorted(path.name.split(".")[0] for path in CORPUS.glob("*.answer.json"))
BAD = sorted({path.name.split(".")[0] for path in CORPUS.glob("*.upstream.sse")} - {*GOOD})

SAYABLE = Scope(
    protocol="gemini",
    media=("image", "document", "audio", "video"),
    media_sources=("data", "url", "text"),
    errors_in_results=True,
    custom_tools=False,
    text_state=True,
    call_state=True,
    state_origin="google",
)
WITH_MEDIA_IN_RESULTS = msgspec.structs.replace(SAYABLE, media_sources=("data",), media_in_results=True)
REQUESTS = strategies.requests(SAYABLE) | strategies.requests(WITH_MEDIA_IN_RESULTS)
HALVES = re.compile(r"(?i)\\u(?:d[89ab]..\\ud[c-f]..|(d[89a-f]..))")


@settings(max_examples=examples(100))
@given(TOLD, SHOWN)
def test_a_stream_that_is_written_says_what_the_whole_answer_says(
    told: tuple[Answer, list[Event]], request: Request
) -> None:
    answer, events = told
    whole = shape.decoded(TRANSLATOR.write_answer(answer, request))
    stream = TRANSLATOR.writer(request).write(events)
    assert shape.put_together(shape.chunks_of(stream)) == whole


@settings(max_examples=examples(100))
@given(TOLD, st.data())
def test_a_stream_that_is_read_says_what_the_whole_answer_says(
    told: tuple[Answer, list[Event]], data: st.DataObject
) -> None:
    """Written as a provider would write it, then read whole, as a stream, and as a stream in other pieces."""
    answer, events = told
    stream = TRANSLATOR.writer(ASKED).write(events)
    read = read_stream([stream])
    assert collected(read) == TRANSLATOR.read_answer(TRANSLATOR.write_answer(answer, ASKED), GEMINI_3)
    assert read_stream(data.draw(strategies.splits(stream))) == read
    assert isinstance(read[-1], Ended)


@pytest.mark.parametrize("name", GOOD)
def test_streams_of_the_corpus_say_what_its_whole_answers_say(name: str) -> None:
    events = read_stream([(CORPUS / f"{name}.upstream.sse").read_bytes()])
    whole = TRANSLATOR.read_answer((CORPUS / f"{name}.answer.json").read_bytes(), GEMINI_3)
    assert compact(collected(events)) == compact(whole)


def compact(answer: Answer) -> Answer:
    """Arguments that came in pieces are put together without blanks."""
    for choice in answer.choices:
        for part in choice.parts:
            if isinstance(part, ToolCall) and part.arguments:
                part.arguments = msgspec.json.encode(msgspec.json.decode(part.arguments)).decode()
    return answer


@settings(max_examples=examples(60))
@given(st.sampled_from(GOOD), st.data())
def test_any_split_of_the_corpus_gives_the_same_events(name: str, data: st.DataObject) -> None:
    stream = (CORPUS / f"{name}.upstream.sse").read_bytes()
    assert read_stream(data.draw(strategies.splits(stream))) == read_stream([stream])


@pytest.mark.parametrize("name", BAD)
def test_bad_streams_of_the_corpus_fail(name: str) -> None:
    reader = TRANSLATOR.reader(GEMINI_3, said)
    with pytest.raises(UpstreamError) as caught:  # noqa: PT012 - either may raise
        reader.feed((CORPUS / f"{name}.upstream.sse").read_bytes())
        reader.end()
    assert caught.value.message
    assert not any(isinstance(event, Ended) for event in reader.unsent)


def round_trip(request: Request) -> Request:
    body = TRANSLATOR.write_request(request, GEMINI_3, Losses(GEMINI_3.model_id, request.names))
    return TRANSLATOR.read_request(gemini.read_request(body, request.model, stream=request.stream))


@settings(max_examples=examples(150))
@given(REQUESTS)
def test_a_request_keeps_everything_that_is_not_in_the_losses(request: Request) -> None:
    read = round_trip(request)
    assert conversation(read, written=True) == conversation(request, written=False)
    assert [msgspec.structs.astuple(tool) for tool in read.tools] == plain_tools(request)
    assert parameters(read) == parameters(plain_parameters(request))


@settings(max_examples=examples(30))
@given(REQUESTS)
def test_equal_beginnings_are_equal_bytes(request: Request) -> None:
    """Of two calls of one conversation, up to the content that the second one adds."""
    longer = copy.deepcopy(request)
    longer.turns += [Turn(role="assistant", parts=[Text(text="a")]), Turn(role="user", parts=[Text(text="b")])]
    bodies = [TRANSLATOR.write_request(one, GEMINI_3, Losses("m", {})) for one in (request, longer)]
    first, second = (codec.fields(body, frozenset()) for body in bodies)
    assert list(first) == list(second)
    assert bytes(second.pop("contents")).startswith(bytes(first.pop("contents")).rstrip(b"]}"))
    assert {name: bytes(raw) for name, raw in first.items()} == {name: bytes(raw) for name, raw in second.items()}


def conversation(request: Request, *, written: bool) -> list[tuple[str, list[Any]]]:
    """Turns of one role joined, instructions in front, results in the order of their calls; without what is lost."""
    turns: list[tuple[str, list[Any]]] = []
    system: list[Any] = []
    order = {part.id: at for at, part in enumerate(calls(request))}
    for turn in request.turns:
        parts = [one for part in turn.parts if (one := plain_part(part, written=written)) is not None]
        if turn.role in ("system", "developer"):
            system += parts
        elif turns and turns[-1][0] == turn.role:
            turns[-1][1].extend(parts)
        else:
            turns.append((turn.role, parts))
    for _, parts in turns:
        parts.sort(key=lambda part: order[part.call_id] if isinstance(part, ToolResult) else len(order))
    return [("system", system), *(turn for turn in turns if turn[1])]


def calls(request: Request) -> list[ToolCall]:
    return [part for turn in request.turns for part in turn.parts if isinstance(part, ToolCall)]


def plain_part(part: Any, *, written: bool) -> Any:
    part = copy.deepcopy(part)
    if isinstance(part, Text | Media | ToolCall | ToolResult):
        part.cache = None
    if isinstance(part, Refusal):
        return Text(text=part.text)
    if isinstance(part, Reasoning):
        if part.state is None:
            return None
        part.summaries = []
    if isinstance(part, Text | Reasoning | ToolCall) and part.state is not None:
        part.state = State("", part.state.data)
    if isinstance(part, ToolCall):
        part.arguments = HALVES.sub(lambda one: "\\ufffd" if one[1] else one[0], part.arguments or "{}")
    if isinstance(part, Media):
        plain_media(part)
    if isinstance(part, ToolResult):
        texts = [one.text for one in part.parts if isinstance(one, Text)]
        media = [plain_part(one, written=written) for one in part.parts if isinstance(one, Media)]
        part.parts = [*([Text(text="\n".join(texts))] if texts else []), *media]
    return part


def plain_media(media: Media) -> None:
    media.name = media.detail = None
    if media.url is not None:
        media.media_type = None


def plain_tools(request: Request) -> list[Any]:
    choice = request.tool_choice
    only = choice.names if choice is not None and choice.mode == "auto" else ()
    for tool in request.tools:
        tool.strict = tool.cache = None  # type: ignore[union-attr]
    return [msgspec.structs.astuple(tool) for tool in request.tools if not only or tool.name in only]  # type: ignore[union-attr]


LOST = ("logit_bias", "verbosity", "metadata", "end_user", "safety_identifier", "cache_key")


def plain_parameters(request: Request) -> Request:
    request = copy.copy(request)
    for name in LOST:
        setattr(request, name, None)
    request.seed = None if request.seed is None else request.seed % 2**31
    request.service_tier = None if request.service_tier == "auto" else request.service_tier
    choice = request.tool_choice
    if choice is not None and choice.mode == "auto":
        request.tool_choice = msgspec.structs.replace(choice, names=())
    form = request.output_format
    if form is not None:
        request.output_format = msgspec.structs.replace(form, name=None, description=None, strict=None)
    return request


def parameters(request: Request) -> dict[str, Any]:
    names = (*strategies.PARAMETERS, "stop", "stream", "model", "tool_choice", "output_format")
    found = {name: getattr(request, name) for name in names}
    return {**found, "effort": request.reasoning.effort, "shown": request.reasoning.shown}


def test_what_only_this_protocol_has_goes_back_where_it_stood() -> None:
    body = {
        "contents": [
            {"role": "user", "parts": [{"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"},
                                        "videoMetadata": {"fps": 2.0}}]},
            {"role": "model", "parts": [{"executableCode": {"language": "PYTHON", "code": "1"}},
                                        {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
                                        {"functionCall": {"id": "a", "name": "f", "args": {}},
                                         "thoughtSignature": "skip_thought_signature_validator"}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "f", "response": {"output": "x"},
                                                             "willContinue": False, "scheduling": "SILENT"}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"},
                                             "responseJsonSchema": {"type": "string"}, "behavior": "NON_BLOCKING"}]},
                  {"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"],
                                                 "streamFunctionCallArguments": True},
                       "retrievalConfig": {"languageCode": "en"}},
        "generationConfig": {"responseModalities": ["TEXT"], "mediaResolution": "MEDIA_RESOLUTION_LOW",
                             "responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}},
        "safetySettings": [], "cachedContent": "cachedContents/x", "labels": {"a": "b"}, "store": False,
        "serviceTier": "flex",
    }  # fmt: skip
    losses = Losses(GEMINI_3.model_id, {}, strict=True)
    assert msgspec.json.decode(TRANSLATOR.write_request(asked(**body), GEMINI_3, losses)) == body


def test_a_whole_answer_that_is_none_fails() -> None:
    for body in (b"", b"[]", b"{}", b'{"usageMetadata":{"promptTokenCount":1}}', b'{"error":{"message":"x"}}', b"\xff"):
        with pytest.raises(UpstreamFailed):
            TRANSLATOR.read_answer(body, GEMINI_3)
