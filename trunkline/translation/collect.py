"""The events of a streamed answer, put together to the answer they tell of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

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
    Opaque,
    Part,
    PartCame,
    PartEnded,
    Reasoning,
    ReasoningDelta,
    Refusal,
    RefusalDelta,
    StateCame,
    Stop,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    Used,
)


class Collector:
    """Takes events as they come; `answer` is what they amount to so far. `ended` after the last."""

    def __init__(self) -> None:
        self._id = self._model = ""
        self._created = 0
        self._service_tier: str | None = None
        self._parts: dict[tuple[int, int], Part] = {}
        self._pieces: dict[tuple[int, int, int | None], list[str]] = {}
        self._logprobs: dict[int, list[bytes]] = {}
        self._stops: dict[int, tuple[Stop, str | None]] = {}
        self.usage: Usage | None = None
        self.ended = False
        self._take: dict[type[Event], Callable[[Any], None]] = {
            Began: self._began,
            TextDelta: self._text,
            RefusalDelta: self._refusal,
            ReasoningDelta: self._reasoning,
            CallBegan: self._call,
            ArgumentsDelta: self._arguments,
            StateCame: self._state,
            PartCame: self._whole,
            PartEnded: self._nothing,
            Finished: self._finished,
            Used: self._used,
            Ended: self._ended,
        }

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            self._take[type(event)](event)

    def answer(self) -> Answer:
        for (choice, part, summary), pieces in self._pieces.items():
            _fill(self._parts[choice, part], summary, "".join(pieces))
        choices: dict[int, list[Part]] = {choice: [] for choice in sorted(self._stops)}
        for (choice, _), whole in sorted(self._parts.items(), key=lambda item: item[0]):
            choices.setdefault(choice, []).append(whole)
        return Answer(
            id=self._id,
            model=self._model,
            created=self._created,
            choices=[self._choice(choice, parts) for choice, parts in sorted(choices.items())],
            usage=self.usage,
            service_tier=self._service_tier,
        )

    def _choice(self, choice: int, parts: list[Part]) -> Choice:
        stop, sequence = self._stops.get(choice, ("end", None))
        told = self._logprobs.get(choice)
        logprobs = Raw(b"[" + b",".join(told) + b"]") if told else None
        return Choice(parts=parts, stop=stop, stop_sequence=sequence, logprobs=logprobs)

    def _began(self, event: Began) -> None:
        self._id, self._model, self._created = event.id, event.model, event.created
        self._service_tier = event.service_tier
        self.usage = event.usage or self.usage

    def _piece(self, at: tuple[int, int], summary: int | None, text: str) -> None:
        self._pieces.setdefault((*at, summary), []).append(text)

    def _text(self, event: TextDelta) -> None:
        at = event.choice, event.part
        if at not in self._parts:
            self._parts[at] = Text(text="")
        self._piece(at, None, event.text)
        if event.logprobs is not None:
            inside = bytes(event.logprobs).strip()[1:-1].strip()
            if inside:
                self._logprobs.setdefault(event.choice, []).append(inside)

    def _refusal(self, event: RefusalDelta) -> None:
        at = event.choice, event.part
        if at not in self._parts:
            self._parts[at] = Refusal("")
        self._piece(at, None, event.text)

    def _reasoning(self, event: ReasoningDelta) -> None:
        at = event.choice, event.part
        if at not in self._parts:
            self._parts[at] = Reasoning()
        self._piece(at, event.summary, event.text)

    def _call(self, event: CallBegan) -> None:
        self._parts[event.choice, event.part] = ToolCall(id=event.id, name=event.name, custom=event.custom)

    def _arguments(self, event: ArgumentsDelta) -> None:
        self._piece((event.choice, event.part), None, event.text)

    def _state(self, event: StateCame) -> None:
        part = self._parts.setdefault((event.choice, event.part), Reasoning())
        if isinstance(part, Text | ToolCall | Reasoning):
            part.state = event.state

    def _whole(self, event: PartCame) -> None:
        self._parts[event.choice, event.part] = event.whole

    def _nothing(self, event: PartEnded) -> None:
        pass

    def _finished(self, event: Finished) -> None:
        self._stops[event.choice] = event.stop, event.stop_sequence

    def _used(self, event: Used) -> None:
        self.usage = event.usage

    def _ended(self, event: Ended) -> None:
        self.ended = True


def _fill(part: Part, summary: int | None, text: str) -> None:
    if isinstance(part, ToolCall):
        part.arguments = text
    elif isinstance(part, Reasoning) and summary is not None:
        part.summaries = [*part.summaries, *[""] * (summary + 1 - len(part.summaries))]
        part.summaries[summary] = text
    elif isinstance(part, Text | Refusal | Reasoning):
        part.text = text
    else:
        assert isinstance(part, Opaque), "other parts come whole"
