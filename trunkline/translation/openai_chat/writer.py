"""Events as the chunks of a chat stream.

The role goes first, with an empty text or with the first call; the finish chunk's delta is `{}`. A caller who asked for
usage gets it in an extra last chunk without choices, and `usage: null` in every chunk before; for one who did not, it
rides on the finish chunk, which waits for it. `[DONE]` is last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Media,
    Opaque,
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
from trunkline.translation.openai_chat import details
from trunkline.translation.openai_chat.answer import add_media, answer_id, finish_reason, known_tier
from trunkline.translation.openai_chat.shapes import Detail
from trunkline.wire import sse
from trunkline.wire.codec import encode
from trunkline.wire.openai_chat_answer import write_usage

_DONE = b"[DONE]"


class _Head(msgspec.Struct, omit_defaults=True):
    """What every chunk begins with."""

    id: str
    object: str
    created: int
    model: str
    service_tier: str | None = None


class _Call:
    """A call of a choice: `index` counts them from 0. `head` is what its pieces begin with."""

    __slots__ = ("custom", "empty", "head", "id")

    def __init__(self, call_id: str, index: int, *, custom: bool, legacy: bool) -> None:
        self.id = call_id
        self.custom = custom
        self.empty = True
        if legacy:
            self.head = b'{"function_call":{"arguments":'
        elif custom:
            self.head = b'{"tool_calls":[{"index":%d,"custom":{"input":' % index
        else:
            self.head = b'{"tool_calls":[{"index":%d,"function":{"arguments":' % index


class _Written:
    """What has been written of one choice."""

    __slots__ = ("calls", "entries", "images", "refused", "role_sent", "texts", "thought")

    def __init__(self) -> None:
        self.role_sent = False
        self.refused = False
        self.images = 0
        self.calls: dict[int, _Call] = {}
        self.texts: set[int] = set()
        self.entries = details.ToCaller()
        self.thought: tuple[int, int | None] | None = None


class Writer:
    """See streams.StreamWriter."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._shown = request.reasoning.shown
        self._legacy = request.legacy_functions
        self._created = 0
        self._head = b""
        # How a chunk ends: with its usage where the caller asked for it.
        self._usage_field = b',"usage":null' if request.usage_in_stream else b""
        self._tail = b',"logprobs":null,"finish_reason":null}]' + self._usage_field + b"}"
        self._choices: dict[int, _Written] = {}
        self._out: list[bytes] = []
        self._finishes = 0
        self._held: bytes | None = None
        self.holding = False
        self._usage: Usage | None = None
        self._usage_sent = False
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

    def write(self, events: Iterable[Event]) -> bytes:
        for event in events:
            self._take[type(event)](event)
        return self._taken()

    def release(self) -> bytes:
        self._send_held(None)
        return self._taken()

    def _taken(self) -> bytes:
        out = self._out
        if not out:
            return b""
        self._out = []
        return sse.frame(out)

    def _began(self, event: Began) -> None:
        self._created = event.created
        head = _Head(
            answer_id(event.id, event.model, event.created),
            "chat.completion.chunk",
            event.created,
            event.model or self._request.model,
            known_tier(event.service_tier),
        )
        self._head = encode(head)[:-1] + b',"choices":['

    def _chunk(self, choice: int, delta: bytes) -> None:
        self._out.append(b'%b{"index":%d,"delta":%b%b' % (self._head, choice, delta, self._tail))

    def _opened(self, choice: int, role_with: bytes = b'"content":"","refusal":null}') -> _Written:
        """The choice, whose role has been sent; `role_with` is what goes with it."""
        written = self._choices.get(choice)
        if written is None:
            written = self._choices[choice] = _Written()
        self._send_held(None)
        if not written.role_sent:
            written.role_sent = True
            self._chunk(choice, b'{"role":"assistant",' + role_with)
        return written

    def _text(self, event: TextDelta) -> None:
        self._say(event.choice, event.part, event.text, event.logprobs)

    def _say(self, choice: int, part: int, text: str, logprobs: Raw | None) -> None:
        written = self._choices.get(choice)
        if written is None or self._held is not None or not written.role_sent:
            written = self._opened(choice)
        written.texts.add(part)
        if logprobs is not None:
            self._out.append(
                b'%b{"index":%d,"delta":{"content":%b},"logprobs":{"content":%b,"refusal":null},"finish_reason":null}]%b}'
                % (self._head, choice, encode(text), bytes(logprobs), self._usage_field)
            )
        elif text:
            self._out.append(b'%b{"index":%d,"delta":{"content":%b}%b' % (self._head, choice, encode(text), self._tail))

    def _refusal(self, event: RefusalDelta) -> None:
        self._opened(event.choice).refused = True
        self._chunk(event.choice, b'{"refusal":%b}' % encode(event.text))

    def _reasoning(self, event: ReasoningDelta) -> None:
        if not self._shown or not event.text:
            return
        written = self._opened(event.choice)
        now = event.part, event.summary
        before, written.thought = written.thought, now
        plain = event.text if before in (None, now) else "\n\n" + event.text
        entry = written.entries.piece(event.part, event.text, event.summary)
        self._chunk(event.choice, b'{"reasoning_content":%b,"reasoning_details":[%b]}' % (encode(plain), encode(entry)))

    def _call(self, event: CallBegan) -> None:
        written = self._choices.get(event.choice)
        index = len(written.calls) if written is not None else 0
        if self._legacy and index:
            # This form has room for one call.
            return
        call = _Call(event.id, index, custom=event.custom, legacy=self._legacy)
        if self._legacy:
            said = b'"function_call":{"name":%b,"arguments":""}' % encode(event.name)
        elif event.custom:
            said = b'"tool_calls":[{"index":%d,"id":%b,"type":"custom","custom":{"name":%b,"input":""}}]' % (
                index,
                encode(event.id),
                encode(event.name),
            )
        else:
            said = b'"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}]' % (
                index,
                encode(event.id),
                encode(event.name),
            )
        opened = written is not None and written.role_sent
        written = self._opened(event.choice, b'"content":null,%b,"refusal":null}' % said)
        if opened:
            self._chunk(event.choice, b"{%b}" % said)
        written.calls[event.part] = call

    def _arguments(self, event: ArgumentsDelta) -> None:
        call = self._choices[event.choice].calls.get(event.part)
        if call is None or not event.text:
            return
        call.empty = False
        self._piece(event.choice, call, event.text)

    def _piece(self, choice: int, call: _Call, text: str) -> None:
        self._chunk(choice, call.head + encode(text) + (b"}}" if self._legacy else b"}}]}"))

    def _state(self, event: StateCame) -> None:
        if not self._shown:
            return
        written = self._opened(event.choice)
        if event.part in written.texts:
            entry = written.entries.hidden(event.part, event.state, details.ID_OF_TEXT)
        elif (call := written.calls.get(event.part)) is not None:
            entry = written.entries.hidden(event.part, event.state, call.id)
        else:
            entry = written.entries.state(event.part, event.state)
        self._details(event.choice, entry)

    def _details(self, choice: int, entry: Detail) -> None:
        self._chunk(choice, b'{"reasoning_details":[%b]}' % encode(entry))

    def _whole(self, event: PartCame) -> None:
        part = event.whole
        if isinstance(part, Text):
            self._say(event.choice, event.part, part.text, None)
        elif isinstance(part, Media):
            delta: dict[str, Any] = {}
            if add_media(delta, part, self._created):
                written = self._opened(event.choice)
                for image in delta.get("images", ()):
                    image["index"] = written.images
                    written.images += 1
                self._chunk(event.choice, encode(delta))
        else:
            assert isinstance(part, Opaque), "only these come whole"

    def _nothing(self, event: PartEnded) -> None:
        pass

    def _finished(self, event: Finished) -> None:
        written = self._opened(event.choice)
        for call in written.calls.values():
            if call.empty and not call.custom:
                self._piece(event.choice, call, "{}")
        self._finishes += 1
        reason = finish_reason(event.stop, self._request, refused_in_words=written.refused)
        chunk = b'%b{"index":%d,"delta":{},"logprobs":null,"finish_reason":%b}]' % (
            self._head,
            event.choice,
            encode(reason),
        )
        if self._request.usage_in_stream:
            self._out.append(chunk + b',"usage":null}')
        else:
            self._held = chunk
            self.holding = True

    def _used(self, event: Used) -> None:
        self._usage = event.usage
        if self._finishes >= self._request.n:
            self._send_held(event.usage)

    def _send_held(self, usage: Usage | None) -> None:
        if self._held is None:
            return
        if usage is not None:
            self._usage_sent = True
            self._out.append(self._held + b',"usage":%b}' % write_usage(usage))
        else:
            self._out.append(self._held + b"}")
        self._held = None
        self.holding = False

    def _ended(self, event: Ended) -> None:
        self._send_held(self._usage)
        if self._usage is not None and not self._usage_sent:
            usage = write_usage(self._usage)
            if self._request.usage_in_stream:
                self._out.append(b'%b],"usage":%b}' % (self._head, usage))
            else:
                # The finish chunk has gone without it, and a chunk that was not asked for always has a choice.
                self._out.append(b'%b{"index":0,"delta":{},"finish_reason":null}],"usage":%b}' % (self._head, usage))
        self._out.append(_DONE)
