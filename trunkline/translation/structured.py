"""Answers in JSON of a schema, from models that do not keep to one by themselves.

The schema becomes the arguments of a tool that the model must call, or, where the caller brings tools of his own or the
model has none, an instruction. What comes back is made text again and checked; what does not fit is sent back with what
is wrong with it.
"""

from __future__ import annotations

import re

import msgspec

from trunkline.translation.exchange import (
    Answer,
    ArgumentsDelta,
    CallBegan,
    Choice,
    Event,
    Finished,
    OutputFormat,
    Part,
    Refusal,
    Request,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolChoice,
    Turn,
)
from trunkline.translation.json_schema import Schema

MOST_REPAIRS = 2
_FENCED = re.compile(r"\s*```(?:json|JSON)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
_TOOL_NAME = re.compile(r"[^A-Za-z0-9_-]")


class Emulation:
    """One request's. `request` is what the model is asked instead; it changes with `repair`."""

    def __init__(self, asked: Request, *, by_tool: bool) -> None:
        """`asked` wants a JSON schema. `by_tool`: the model can be made to call a tool, and has none yet."""
        form = asked.output_format
        assert form is not None, "only what wants a form is emulated"
        self._schema = Schema(form.schema, asked.names.get("output_format", "response_format"))
        self._tool = _TOOL_NAME.sub("_", form.name or "answer")[:64] if by_tool else None
        self.request = _with_tool(asked, form, self._tool) if self._tool else _with_instruction(asked, form)
        self._calls: dict[tuple[int, int], bool] = {}
        self._text: dict[int, list[str]] = {}

    def whole(self, answer: Answer) -> str | None:
        """The answer's parts as text, in place. Returns what is wrong with it; None when it fits or was cut short."""
        wrong = None
        for choice in answer.choices:
            called = any(isinstance(part, ToolCall) and part.name != self._tool for part in choice.parts)
            choice.parts = [self._as_text(part) for part in choice.parts]
            if choice.stop == "tool" and not called:
                choice.stop = "end"
            if not called:
                wrong = wrong or self._problem(choice)
        return wrong

    def repair(self, answer: Answer, wrong: str) -> None:
        said = "".join(part.text for part in answer.choices[0].parts if isinstance(part, Text))
        turns = [
            *self.request.turns,
            Turn(role="assistant", parts=[Text(text=said or "(nothing)")]),
            Turn(role="user", parts=[Text(text=f"That answer does not fit the schema. {wrong} Answer again, whole.")]),
        ]
        self.request = msgspec.structs.replace(self.request, turns=turns)

    def crossed(self, event: Event) -> Event | None:
        """An event of a stream as it goes to the caller; None: it does not."""
        if isinstance(event, CallBegan):
            self._calls[event.choice, event.part] = event.name == self._tool
            return None if event.name == self._tool else event
        if isinstance(event, ArgumentsDelta) and self._calls.get((event.choice, event.part)):
            event = TextDelta(event.choice, event.part, event.text)
        if isinstance(event, TextDelta):
            self._text.setdefault(event.choice, []).append(event.text)
        elif isinstance(event, Finished) and event.stop == "tool" and self._called_only_ours(event.choice):
            return Finished(event.choice, "end", event.stop_sequence)
        return event

    def streamed(self) -> str | None:
        """What is wrong with what has been streamed; None when it fits."""
        if not all(self._called_only_ours(choice) for choice in self._text):
            return None
        texts = ("".join(pieces) for pieces in self._text.values())
        return next((wrong for text in texts if (wrong := self._schema.problem(_bare(text)))), None)

    def _called_only_ours(self, choice: int) -> bool:
        return all(ours for (of, _), ours in self._calls.items() if of == choice)

    def _as_text(self, part: Part) -> Part:
        if isinstance(part, ToolCall) and part.name == self._tool:
            return Text(text=part.arguments or "{}")
        if isinstance(part, Text):
            return msgspec.structs.replace(part, text=_bare(part.text))
        return part

    def _problem(self, choice: Choice) -> str | None:
        if choice.stop != "end" or any(isinstance(part, Refusal) for part in choice.parts):
            return None
        return self._schema.problem("".join(part.text for part in choice.parts if isinstance(part, Text)))


def _with_tool(asked: Request, form: OutputFormat, name: str) -> Request:
    tool = Tool(name=name, description=form.description or "Gives the answer.", parameters=form.schema)
    choice = ToolChoice(mode="required", names=(name,))
    return msgspec.structs.replace(
        asked, output_format=None, tools=[tool], tool_choice=choice, parallel_tool_calls=False
    )


def _with_instruction(asked: Request, form: OutputFormat) -> Request:
    schema = bytes(form.schema).decode() if form.schema is not None else "{}"
    told = f"Answer with one JSON value that fits this JSON schema, and with nothing else, no code fence:\n{schema}"
    first = next((at for at, turn in enumerate(asked.turns) if turn.role not in ("system", "developer")), 0)
    turns = [*asked.turns[:first], Turn(role="system", parts=[Text(text=told)]), *asked.turns[first:]]
    return msgspec.structs.replace(asked, output_format=None, turns=turns)


def _bare(text: str) -> str:
    fenced = _FENCED.fullmatch(text)
    return fenced[1] if fenced else text
