"""What this room offers, as one: a chat caller's exchange over Messages, and a Messages caller's over anything."""

from __future__ import annotations

from pathlib import Path

from tests.translation.anthropic_messages import sdk
from tests.translation.anthropic_messages.targets import TARGET, read
from trunkline.errors import UpstreamError, UpstreamFailed
from trunkline.translation.anthropic_messages.translator import TRANSLATOR
from trunkline.translation.anthropic_messages.vocabulary import PROTOCOL
from trunkline.translation.streams import CrossedStream
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage

CORPUS = Path(__file__).parents[2] / "corpus" / "anthropic_messages"


def said(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed(facts.message)


def test_the_room_is_complete() -> None:
    assert TRANSLATOR.protocol == PROTOCOL == "anthropic_messages"
    assert len({(loss.name, loss.how, loss.direction) for loss in TRANSLATOR.losses}) == len(TRANSLATOR.losses)


def test_a_stream_crosses_from_this_protocol_to_itself() -> None:
    asked = read({"thinking": {"type": "adaptive"}, "stream": True})
    for path in sorted(CORPUS.glob("*.answer.json")):
        name = path.name.split(".")[0]
        crossed = CrossedStream(TRANSLATOR.reader(TARGET, said), TRANSLATOR.writer(asked))
        data = crossed.feed((CORPUS / f"{name}.upstream.sse").read_bytes()) + crossed.end()
        assert crossed.done
        sdk.events(data)
        if name == "compaction":
            continue  # of the beta's accumulators alone
        whole = sdk.message(TRANSLATOR.write_answer(TRANSLATOR.read_answer(path.read_bytes(), TARGET), asked))
        streamed = sdk.accumulated(data)
        plain = [{field: value for field, value in block.items() if value is not None} for block in streamed["content"]]
        assert plain == whole["content"]
        assert streamed["stop_reason"] == whole["stop_reason"]


def test_usage_is_taken_on_the_way() -> None:
    crossed = CrossedStream(TRANSLATOR.reader(TARGET, said), TRANSLATOR.writer(read({})))
    crossed.feed((CORPUS / "text.upstream.sse").read_bytes())
    assert crossed.usage == Usage(input_tokens=12, output_tokens=9)
