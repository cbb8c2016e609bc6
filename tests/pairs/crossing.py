"""One answer on its way from a provider to a caller, and what of it the caller holds in the end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.pairs.callers import CALLERS, JSON, Caller
from tests.pairs.upstreams import UPSTREAMS, Upstream, said
from trunkline.translation.collect import Collector
from trunkline.translation.exchange import (
    Answer,
    Began,
    Event,
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from trunkline.translation.streams import CrossedStream
from trunkline.translation.target import Target


def of_pairs(upstreams: Iterable[Upstream]) -> pytest.MarkDecorator:
    """The test takes `caller` and `upstream`: every caller with each of these."""
    crossings = [
        pytest.param(caller, upstream, id=f"{caller.protocol}-{upstream.protocol}")
        for caller in CALLERS.values()
        for upstream in upstreams
    ]
    return pytest.mark.parametrize(("caller", "upstream"), crossings)


EVERY_PAIR = of_pairs(UPSTREAMS.values())
CREATED = 1_700_000_000
CLIENT = Target(provider_id="gateway", model_id="gateway/m", upstream="m")


def crossed_whole(caller: Caller, upstream: Upstream, body: bytes, asked: JSON) -> bytes:
    """As the pipeline does it: who the answer is from is filled in where the provider did not say."""
    answer = upstream.translator.read_answer(body, upstream.target())
    answer.id, answer.model, answer.created = answer.id or "id", answer.model or "m", answer.created or CREATED
    return caller.translator.write_answer(answer, caller.read(asked))


def crossed_stream(caller: Caller, upstream: Upstream, pieces: Iterable[bytes], asked: JSON) -> bytes:
    stream = CrossedStream(
        upstream.translator.reader(upstream.target(), said), caller.translator.writer(caller.read(asked)), _identified
    )
    out = [stream.feed(piece) for piece in pieces]
    out.append(stream.end())
    assert stream.done
    return b"".join(out)


def _identified(events: list[Event]) -> list[Event]:
    for event in events:
        if isinstance(event, Began):
            event.id, event.model, event.created = event.id or "id", event.model or "m", event.created or CREATED
    return events


def reread(caller: Caller, body: bytes) -> Answer:
    return caller.translator.read_answer(body, CLIENT)


def reread_stream(caller: Caller, stream: bytes) -> Answer:
    reader = caller.translator.reader(CLIENT, said)
    collector = Collector()
    collector.take(reader.feed(stream))
    collector.take(reader.end())
    assert collector.ended
    return collector.answer()


def settled(answer: Answer) -> Answer:
    """With hidden reasoning last: what carries a state may stand in another place where the state came late."""
    for choice in answer.choices:
        choice.parts.sort(key=lambda part: isinstance(part, Reasoning) and not shown(part))
    return answer


def held(parts: Iterable[Part]) -> dict[str, Any]:
    """What an answer says, whatever its protocol makes of the order of its kinds and of the seams between its texts."""
    parts = list(parts)
    return {
        "text": "".join(part.text for part in parts if isinstance(part, Text | Refusal)),
        "reasoning": "".join(shown(part) for part in parts if isinstance(part, Reasoning)).replace("\n\n", ""),
        "calls": [(part.id, part.name, arguments(part)) for part in parts if isinstance(part, ToolCall)],
        "media.image": [part.data or part.url for part in parts if isinstance(part, Media) and part.kind == "image"],
        "text.state": [part.state for part in parts if isinstance(part, Text) and part.state is not None],
        "state": [
            part.state
            for kind in (Reasoning, ToolCall)
            for part in parts
            if isinstance(part, kind) and part.state is not None
        ],
    }


def shown(part: Reasoning) -> str:
    return "\n\n".join(piece for piece in (part.text, *part.summaries) if piece)


def arguments(call: ToolCall) -> Any:
    """The value of a call's arguments. Where they must be an object, half a surrogate pair is U+FFFD, and free text
    stands under `input`."""
    if call.custom:
        return {"input": call.arguments}
    said = json.loads(call.arguments or "{}")
    return json.loads(
        json.dumps(said, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
