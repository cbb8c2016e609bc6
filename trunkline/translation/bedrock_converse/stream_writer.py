"""A stream, written for a caller: neutral events to the messages of ConverseStream. Blocks may be told mixed: each
delta says which it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trunkline.translation import envelope
from trunkline.translation.bedrock_converse.content import as_bytes
from trunkline.translation.bedrock_converse.vocabulary import stop_reason
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Media,
    PartCame,
    PartEnded,
    ReasoningDelta,
    RefusalDelta,
    Request,
    StateCame,
    Text,
    TextDelta,
    Usage,
    Used,
)
from trunkline.wire.bedrock_converse import event, write_usage
from trunkline.wire.codec import encode


class Writer:
    """One answer (translation/streams.py). Of several choices only the first has a place in this protocol."""

    def __init__(self, request: Request) -> None:
        self._out: list[bytes] = []
        self._open: set[int] = set()
        self._shown: dict[int, int | None] = {}
        self._texts: set[int] = set()
        self._called = False
        self._usage: Usage | None = None
        self._custom: set[int] = set()
        self.holding = False

    def write(self, events: Iterable[Event]) -> bytes:
        for told in events:
            if getattr(told, "choice", 0) == 0:
                self._event(told)
        out, self._out = self._out, []
        return b"".join(out)

    def release(self) -> bytes:
        """Usage comes in a message of its own, so nothing waits for it."""
        return b""

    def _send(self, name: str, payload: Any) -> None:
        self._out.append(event(name, encode(payload)))

    def _event(self, told: Event) -> None:
        if isinstance(told, Began):
            self._send("messageStart", {"role": "assistant"})
        elif isinstance(told, TextDelta | RefusalDelta):
            self._texts.add(told.part)
            self._delta(told.part, {"text": told.text})
        elif isinstance(told, ReasoningDelta):
            self._reasoning(told)
        elif isinstance(told, CallBegan):
            self._call(told)
        elif isinstance(told, ArgumentsDelta):
            text = told.text if told.part not in self._custom else encode(told.text)[1:-1].decode()
            self._delta(told.part, {"toolUse": {"input": text}})
        elif isinstance(told, StateCame):
            self._state(told)
        elif isinstance(told, PartCame):
            self._whole(told)
        elif isinstance(told, PartEnded):
            self._close(told.part)
        elif isinstance(told, Finished):
            self._finish(told)
        elif isinstance(told, Used):
            self._usage = told.usage
        else:
            assert isinstance(told, Ended), "the last kind"
            self._send("metadata", {"usage": write_usage(self._usage), "metrics": {"latencyMs": 0}})

    def _delta(self, part: int, delta: dict[str, Any]) -> None:
        self._open.add(part)
        self._send("contentBlockDelta", {"contentBlockIndex": part, "delta": delta})

    def _reasoning(self, told: ReasoningDelta) -> None:
        before = self._shown.setdefault(told.part, told.summary)
        gap = "" if before == told.summary else "\n\n"
        self._shown[told.part] = told.summary
        self._delta(told.part, {"reasoningContent": {"text": gap + told.text}})

    def _state(self, told: StateCame) -> None:
        """That of reasoning; calls and texts carry none here."""
        if told.part in self._shown:
            self._delta(told.part, {"reasoningContent": {"signature": envelope.wrap(told.state)}})
        elif told.part not in self._texts and told.part not in self._open:
            self._delta(told.part, {"reasoningContent": {"redactedContent": as_bytes(envelope.wrap(told.state))}})

    def _call(self, told: CallBegan) -> None:
        self._called = True
        self._open.add(told.part)
        start = {"toolUse": {"toolUseId": told.id, "name": told.name}}
        self._send("contentBlockStart", {"contentBlockIndex": told.part, "start": start})
        if told.custom:
            self._custom.add(told.part)
            self._delta(told.part, {"toolUse": {"input": '{"input":"'}})

    def _whole(self, told: PartCame) -> None:
        whole = told.whole
        if isinstance(whole, Text):
            self._delta(told.part, {"text": whole.text})
        elif isinstance(whole, Media) and whole.kind == "image" and whole.data is not None:
            form = (whole.media_type or "image/png").removeprefix("image/")
            self._send("contentBlockStart", {"contentBlockIndex": told.part, "start": {"image": {"format": form}}})
            self._delta(told.part, {"image": {"source": {"bytes": whole.data}}})

    def _close(self, part: int) -> None:
        if part not in self._open:
            return
        self._open.discard(part)
        if part in self._custom:
            self._send("contentBlockDelta", {"contentBlockIndex": part, "delta": {"toolUse": {"input": '"}'}}})
        self._send("contentBlockStop", {"contentBlockIndex": part})

    def _finish(self, told: Finished) -> None:
        for part in sorted(self._open):
            self._close(part)
        stop: dict[str, Any] = {"stopReason": stop_reason(told.stop, called=self._called)}
        if told.stop_sequence is not None:
            stop["additionalModelResponseFields"] = {"stop_sequence": told.stop_sequence}
        self._send("messageStop", stop)
