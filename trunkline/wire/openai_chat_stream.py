"""The stream of a chat completion on pass-through: checked event by event, relayed byte for byte, edited where it must.

An event goes on as it came unless it is the first, has a finish reason, usage, an error or no choices, or its dialect
repeats the role. What is edited, and why:

first event          a role beside text is sent before the text: readers expect the role alone
finish chunk         its delta is `{}`; text that came in it goes out before it as a chunk of its own
usage, not asked     rides on the finish chunk (with several choices, the last one's), which is held for it
usage, asked         an extra last chunk with `choices: []`; every chunk before it has `usage: null`
price                with one, usage is always sent, cost included, and nothing of it before the provider's stream ends
no choices           such a chunk is never sent unasked; its other fields move to the next chunk
end                  `[DONE]` is ours to write: after a finish reason, whether the provider wrote it or not

Pure and synchronous: pipeline/relay.py keeps the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.wire import billing, codec, sse
from trunkline.wire.codec import Fields, encode
from trunkline.wire.openai_chat_answer import read_usage, write_usage
from trunkline.wire.openai_chat_chunk import (
    NOTHING,
    NULL,
    Choice,
    Delta,
    Edit,
    Index,
    choices_of,
    delta_of,
    index_of,
    is_finish,
    partial,
    said_size,
)
from trunkline.wire.provider_errors import ErrorFacts, error_in, read_error
from trunkline.wire.seen import LONGEST_TOKEN, Seen, size_of
from trunkline.wire.usage import Price, Usage, tier_of

DONE = b"[DONE]"
MAX_CARRIED_BYTES = 1024 * 1024
# What every chunk of a stream repeats; everything else belongs to one chunk only.
_IDENTITY = ("id", "object", "created", "model", "provider", "system_fingerprint", "service_tier")
_EMPTY_OBJECT = Raw(b"{}")
_EMPTY_TEXT = Raw(b'""')


class _OrdinaryChoice(msgspec.Struct, gc=False):
    index: Index = 0
    finish_reason: None = None
    delta: Delta | None = None


class _Ordinary(msgspec.Struct, gc=False):
    """Decodes exactly those events that need no edit: one choice, unfinished, no usage, no error."""

    choices: tuple[_OrdinaryChoice]
    usage: msgspec.UnsetType | None = msgspec.UNSET
    error: None = None


_decode_ordinary = msgspec.json.Decoder(_Ordinary).decode


def _reported(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed("The provider reported an error in the middle of its answer.", status=facts.status)


class ChatStream:
    """One answer's editor: `feed` what arrives, write what it returns, then `end`.

    include_usage        the caller asked for it; the provider is always asked
    n                    choices asked for
    role_in_every_chunk  the dialect's habit; only the first is sent on
    model                the name to show instead of the provider's
    error                makes the error for what the provider says went wrong
    price                makes the usage to show

    `holds` counts the finish chunks that were held back for their usage: when it has risen, `release` is due later.
    `feed` and `end` raise StreamCut, UpstreamFailed or what `error` made; `unsent` is then what may still be written.
    `seen_tokens` is an estimate of what has come of the answer (see Seen).
    """

    __slots__ = (
        "_carried",
        "_carried_bytes",
        "_error",
        "_finished",
        "_held",
        "_identity",
        "_include_usage",
        "_last_usage",
        "_model",
        "_one_choice",
        "_out",
        "_plain",
        "_price",
        "_role_in_every_chunk",
        "_roles_sent",
        "_seen",
        "_shown",
        "_splitter",
        "_text",
        "_usage_sent",
        "began",
        "done",
        "finish_reason",
        "holds",
        "unsent",
        "usage",
    )

    def __init__(  # noqa: PLR0913 - all but the first two are rare
        self,
        *,
        include_usage: bool = False,
        n: int = 1,
        role_in_every_chunk: bool = False,
        model: str | None = None,
        error: Callable[[ErrorFacts], UpstreamError] = _reported,
        price: Price | None = None,
    ) -> None:
        self._include_usage = include_usage
        self._one_choice = n == 1
        self._role_in_every_chunk = role_in_every_chunk
        self._model = None if model is None else Raw(encode(model))
        self._error = error
        self._price = price
        self._splitter = sse.Splitter(joint=b" ")
        self._out: list[bytes] = []
        self._plain = False
        self._carried: Fields = {}
        self._carried_bytes = 0
        self._identity: Fields = {}
        self._roles_sent: set[int] = set()
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._held: Fields | None = None
        self._last_usage: Raw | None = None
        self._shown: Raw | None = None
        self._text = Seen()
        self._usage_sent = False
        self.began = False
        self.done = False
        self.finish_reason: str | None = None
        self.holds = 0
        self.unsent = b""
        self.usage: Usage | None = None

    @property
    def finished(self) -> bool:
        """Every choice has its finish reason: an end now is a good end."""
        return bool(self._finished) and (self._one_choice or self._seen <= self._finished)

    @property
    def seen_tokens(self) -> int:
        return self._text.tokens

    @property
    def response_id(self) -> str | None:
        return codec.text_of(self._identity.get("id"))

    def feed(self, data: bytes) -> bytes:
        """The events to write now, in one write; b"" when there are none. After `[DONE]` everything is ignored."""
        if self.done:
            return b""
        return self._checked(self._relay, self._splitter.feed, data)

    def end(self) -> bytes:
        """The upstream's body has ended: the last of what is to be written."""
        if self.done:
            return b""
        return self._checked(self._relay_end)

    def release(self) -> bytes:
        """The finish chunk that is held, if one still is: its usage has not come in time."""
        if self._held is not None and self.usage is not None and self.finished:
            self._settle()
        self._send_held()
        return self._take_out()

    def _checked(self, step: Callable[..., None], *given: Any) -> bytes:
        try:
            step(*given)
            return self._take_out()
        except UpstreamError:
            self._send_held()
            self.unsent = sse.frame(self._out) if self._out else b""
            self._out.clear()
            raise

    def _take_out(self) -> bytes:
        out = self._out
        if not out:
            return b""
        self.began = True
        data = sse.frame(out)
        if not data.isascii():
            self._refuse_invalid_utf8(data)
        self._out = []
        return data

    def _refuse_invalid_utf8(self, data: bytes) -> None:
        try:
            data.decode()
        except UnicodeDecodeError:
            for place, payload in enumerate(self._out):
                try:
                    payload.decode()
                except UnicodeDecodeError:
                    del self._out[place:]
                    self._held = None
                    raise UpstreamFailed("The provider sent an event that is not valid UTF-8.") from None

    def _relay(self, split: Callable[[bytes], list[bytes]], data: bytes) -> None:
        out, text = self._out, self._text
        for payload in split(data):
            if self._plain and payload.startswith(b"{"):
                try:
                    event = _decode_ordinary(payload)
                except codec.UNREADABLE:
                    pass
                else:
                    choice = event.choices[0]
                    if not self._one_choice:
                        self._seen.add(choice.index)
                    delta = choice.delta
                    if delta is not None:
                        said = delta.content
                        if said:
                            text.texts += 1
                            size = len(said) if said.isascii() else size_of(said)
                            if size > LONGEST_TOKEN:
                                text.beyond += size - LONGEST_TOKEN
                        else:
                            text.add_bytes(delta.other_size())
                    if self._include_usage and event.usage is msgspec.UNSET:
                        out.append(payload.rstrip()[:-1] + b',"usage":null}')
                    else:
                        out.append(payload)
                    continue
            self._event(payload)
            if self.done:
                return

    def _relay_end(self) -> None:
        rest = self._splitter.rest().lstrip()
        if not self.began and rest.startswith(b"{"):
            facts = read_error(rest)
            raise self._error(facts) if facts.message else UpstreamFailed("The provider sent JSON, not a stream.")
        for payload in self._splitter.end():
            if payload.strip() == DONE or codec.answer_fields(payload) is not None:
                self._event(payload)
            # Anything else is an event that was cut.
        if not self.done:
            self._close()

    def _event(self, payload: bytes) -> None:
        """One event that may need an edit."""
        payload = payload.strip()
        if not payload:
            return
        if payload == DONE:
            self._close()
            return
        fields = codec.answer_fields(payload)
        if fields is None:
            raise UpstreamFailed("The provider sent an event that is not a JSON object in UTF-8.")
        facts = error_in(fields)
        if facts is not None:
            raise self._error(facts)
        choices = choices_of(fields)
        edited, usage_came = self._take_usage(fields)
        edit = Edit()
        for choice in choices:
            self._edit_choice(choice, edit, first=not self._seen)
        self._seen.update(edit.indices)
        if edit.is_empty() or (usage_came and self.finished and not edit.has_text()):
            self._without_choices(fields, usage_came=usage_came)
            return
        if self._apply_carried(fields):
            edited = True
        if self._model is not None:
            fields["model"] = self._model
            edited = True
        if not self._identity:
            self._identity = {name: fields[name] for name in _IDENTITY if name in fields}
        self._send_parts(fields, edit, None if edited or edit.edited else payload)
        self._plain = not self._role_in_every_chunk and self._model is None

    def _edit_choice(self, choice: Choice, edit: Edit, *, first: bool) -> None:
        """Sorts one choice into the chunks that its event becomes."""
        index = index_of(choice)
        edit.indices.append(index)
        delta = delta_of(choice)
        self._text.add_bytes(said_size(delta))
        if "role" in delta:
            text = delta.get("content")
            if first and text is not None and bytes(text) not in NOTHING:
                alone = {"role": delta.pop("role"), "content": _EMPTY_TEXT}
                edit.roles.append(partial(choice, alone))
                edit.edited = True
            elif self._role_in_every_chunk and index in self._roles_sent:
                del delta["role"]
                edit.edited = True
            self._roles_sent.add(index)
        if not is_finish(choice):
            if edit.edited:
                choice["delta"] = Raw(encode(delta))
            edit.texts.append(choice)
            return
        if any(bytes(value) not in NOTHING for name, value in delta.items() if name != "role"):
            text_choice = partial(choice, delta)
            if "logprobs" in choice:
                text_choice["logprobs"] = choice["logprobs"]
                choice["logprobs"] = NULL
            edit.texts.append(text_choice)
            edit.edited = True
        if index in self._finished:
            edit.edited = True
            return
        if bytes(choice.get("delta", NULL)) != b"{}":
            choice["delta"] = _EMPTY_OBJECT
            edit.edited = True
        if self.finish_reason is None:
            self.finish_reason = codec.text_of(choice.get("finish_reason"))
        edit.finishes.append(choice)

    def _send_parts(self, fields: Fields, edit: Edit, payload: bytes | None) -> None:
        """`payload` is the event as it came when nothing in it was edited."""
        parts = [part for part in (edit.roles, edit.texts, edit.finishes) if part]
        for part in parts[:-1]:
            self._out.append(self._chunk(part))
        if payload is None:
            fields["choices"] = Raw(encode(parts[-1]))
        if not edit.finishes:
            self._out.append(encode(fields) if payload is None else payload)
            return
        if not self._include_usage:
            self._send_held()
            self._held = fields
            self.holds += 1
        else:
            self._out.append(encode(fields) if payload is None else payload)
        self._finished.update(map(index_of, edit.finishes))

    def _chunk(self, choices: list[Choice], usage: Raw | None = None) -> bytes:
        """A chunk of our making."""
        fields = {**self._identity, "choices": Raw(encode(choices))}
        if usage is not None:
            self._apply_carried(fields)
            self._usage_sent = True
            fields["usage"] = usage
        elif self._include_usage:
            fields["usage"] = NULL
        return encode(fields)

    def _take_usage(self, fields: Fields) -> tuple[bool, bool]:
        """Takes the usage out of an event, where it is not the last: (edited, valid usage came)."""
        raw = fields.get("usage")
        if raw is None:
            if self._include_usage:
                fields["usage"] = NULL
            return self._include_usage, False
        if bytes(raw) == b"null":
            return False, False
        usage = read_usage(raw)
        if usage is not None and (self._price is None or self._shown is None):
            # What is repeated is cumulative: the last complete one counts.
            tier = codec.text_of(fields.get("service_tier") or self._identity.get("service_tier"))
            usage.service_tier = tier_of(tier)
            self.usage = usage
            self._last_usage = raw
            if self._price is None:
                self._shown = raw
        if self._include_usage:
            fields["usage"] = NULL
        else:
            del fields["usage"]
        return True, usage is not None

    def _without_choices(self, fields: Fields, *, usage_came: bool) -> None:
        for name, raw in fields.items():
            if name not in ("choices", "usage") and bytes(raw) not in NOTHING:
                self._carried_bytes += len(raw)
                self._carried[name] = raw
        if self._carried_bytes > MAX_CARRIED_BYTES:
            raise UpstreamFailed("The provider sent too many chunks without choices.")
        self._plain = False
        if usage_came and self.finished and self._price is None:
            if not self._include_usage:
                self._send_held()
            elif not self._usage_sent:
                self._out.append(self._chunk([], self._shown))

    def _apply_carried(self, fields: Fields) -> bool:
        """What chunks without choices brought, where the chunk does not say it itself."""
        if not self._carried:
            return False
        for name, raw in self._carried.items():
            fields.setdefault(name, raw)
        self._carried = {}
        self._carried_bytes = 0
        return True

    def _send_held(self) -> None:
        held = self._held
        if held is None:
            return
        self._held = None
        self._apply_carried(held)
        if self._shown is not None and self.finished:
            held["usage"] = self._shown
            self._usage_sent = True
        self._out.append(encode(held))

    def _settle(self) -> None:
        """From now on what the caller is shown is certain."""
        if self._price is None or self._shown is not None:
            return
        usage = self._price(self.usage)
        told = self._last_usage is not None and usage.same_counts(self.usage)
        self._shown = Raw(billing.with_cost(bytes(self._last_usage or b""), usage) if told else write_usage(usage))

    def _close(self) -> None:
        """`[DONE]` or the end of the body."""
        if not self.finished:
            raise StreamCut("The provider's answer broke off before it was finished.")
        self._settle()
        self._send_held()
        if self._shown is not None and not self._usage_sent:
            # Unasked, the finish chunk has gone without it; a chunk always has a choice then.
            unasked: list[Choice] = [{"index": Raw(b"0"), "delta": _EMPTY_OBJECT, "finish_reason": NULL}]
            self._out.append(self._chunk([] if self._include_usage else unasked, self._shown))
        self._out.append(DONE)
        self.done = True
