"""The stream of a response on pass-through: checked event by event, relayed byte for byte.

Every event leaves with its `event:` line, made from the type in its data where it came without. Nothing else is edited
but the model's name, where another is to be shown, and with a price the usage at the end. The stream ends with its
terminal event: `response.completed`, `response.incomplete` or `response.failed`; an end without one is a cut.

Pure and synchronous: pipeline/relay.py keeps the time.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from trunkline.errors import StreamCut, UpstreamError, UpstreamFailed
from trunkline.wire import billing, codec, sse
from trunkline.wire.codec import Fields, encode
from trunkline.wire.openai_responses_answer import billed, estimated_output, read_usage
from trunkline.wire.provider_errors import ErrorFacts, error_in, read_error
from trunkline.wire.seen import Seen
from trunkline.wire.usage import Price, Usage, tier_of

TERMINAL = frozenset(("response.completed", "response.incomplete", "response.failed"))
# The last event repeats all that came before, images included.
MAX_EVENT_BYTES = 32 * 1024 * 1024
_DONE = b"[DONE]"


class _Event(msgspec.Struct, gc=False):
    type: str
    sequence_number: int = -1
    delta: Raw = Raw()


class _Lifecycle(msgspec.Struct, gc=False):
    response: Raw = Raw()


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_lifecycle = msgspec.json.Decoder(_Lifecycle).decode


def _reported(facts: ErrorFacts) -> UpstreamError:
    return UpstreamFailed("The provider reported an error in the middle of its answer.", status=facts.status)


def failure_in(response: Fields) -> ErrorFacts:
    """What a failed response says for its failure."""
    return error_in(response) or ErrorFacts(message="")


class ResponsesStream:
    """One answer's editor: `feed` what arrives, write what it returns, then `end`.

    model  the name to show instead of the provider's
    error  makes the error for what the provider says went wrong
    price  makes the usage to show

    A failure that the provider reports is raised, except in a `response.failed` behind events that are out: that is the
    stream's good end for its reader, and `failure` tells of it. `next_sequence_number` is for an event of ours after an
    error. `feed` and `end` raise StreamCut, UpstreamFailed or what `error` made; `unsent` is then what may still be
    written. `seen_tokens` is an estimate of what has come of the answer (see Seen).
    """

    __slots__ = (
        "_error",
        "_model",
        "_names",
        "_out",
        "_price",
        "_splitter",
        "_text",
        "began",
        "done",
        "failure",
        "finish_reason",
        "holds",
        "next_sequence_number",
        "response_id",
        "unsent",
        "usage",
    )

    def __init__(
        self,
        *,
        model: str | None = None,
        error: Callable[[ErrorFacts], UpstreamError] = _reported,
        price: Price | None = None,
    ) -> None:
        self._model = None if model is None else Raw(encode(model))
        self._error = error
        self._price = price
        self._text = Seen()
        self._names: dict[str, bytes] = {}
        self._splitter = sse.Splitter(joint=b" ", max_event_bytes=MAX_EVENT_BYTES)
        self._out: list[bytes] = []
        self.began = False
        self.done = False
        self.failure: ErrorFacts | None = None
        self.response_id: str | None = None
        self.finish_reason: str | None = None
        self.holds = 0
        self.next_sequence_number = 0
        self.unsent = b""
        self.usage: Usage | None = None

    @property
    def finished(self) -> bool:
        """The terminal event has come: an end now is a good end."""
        return self.done

    @property
    def seen_tokens(self) -> int:
        return self._text.tokens

    def feed(self, data: bytes) -> bytes:
        """The events to write now, in one write; b"" when there are none. After the terminal event all is ignored."""
        if self.done:
            return b""
        return self._checked(self._splitter.feed(data))

    def end(self) -> bytes:
        """The upstream's body has ended: the last of what is to be written."""
        if self.done:
            return b""
        rest = self._splitter.rest().lstrip()
        if not self.began and rest.startswith(b"{"):
            facts = read_error(rest)
            raise self._error(facts) if facts.message else UpstreamFailed("The provider sent JSON, not a stream.")
        # What is not whole is an event that was cut.
        whole = [payload for payload in self._splitter.end() if codec.answer_fields(payload) is not None]
        written = self._checked(whole)
        if self.finished:
            return written
        self.unsent = written
        raise StreamCut("The provider's answer broke off before it was finished.")

    def release(self) -> bytes:
        """Nothing is ever held."""
        return b""

    def _checked(self, payloads: list[bytes]) -> bytes:
        try:
            for payload in payloads:
                self._event(payload)
                if self.done:
                    break
        except UpstreamError:
            self.unsent = b"".join(self._out)
            self._out.clear()
            raise
        if not self._out:
            return b""
        self.began = True
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _event(self, payload: bytes) -> None:
        try:
            if not payload.isascii():
                payload.decode()
            event = _decode_event(payload)
        except codec.UNREADABLE:
            self._odd_event(payload)
            return
        name = event.type
        if name.endswith(".delta"):
            if not name.endswith("audio.delta"):
                # A text between its quotes.
                self._text.add_bytes(len(event.delta) - 2)
        else:
            payload = payload.strip()
            if name == "error":
                raise self._error(error_facts(codec.answer_fields(payload) or {}))
            if name.startswith("response.") and name.count(".") == 1:
                payload = self._lifecycle(name, payload)
        self.next_sequence_number = event.sequence_number + 1
        if name not in self._names:
            self._name(name)
        self._out += (self._names[name], payload, b"\n\n")

    def _name(self, name: str) -> None:
        if not (name.isascii() and name.isprintable()):
            raise UpstreamFailed("The provider sent an event whose type is not a name.")
        self._names[name] = b"event: " + name.encode() + b"\ndata: "

    def _odd_event(self, payload: bytes) -> None:
        """None of this protocol's: nothing, `[DONE]` as engines add it, an error in another form, or nonsense."""
        payload = payload.strip()
        if not payload or payload == _DONE:
            return
        fields = codec.answer_fields(payload)
        if fields is None:
            raise UpstreamFailed("The provider sent an event that is not a JSON object in UTF-8.")
        facts = error_in(fields)
        raise self._error(facts) if facts is not None else UpstreamFailed("The provider sent an event without a type.")

    def _lifecycle(self, name: str, payload: bytes) -> bytes:
        """An event that carries the whole response."""
        said = _decode_lifecycle(payload).response
        response = codec.answer_fields(bytes(said))
        if response is None:
            if name in TERMINAL:
                raise UpstreamFailed("The provider's last event has no response.")
            return payload
        if self.response_id is None:
            self.response_id = codec.text_of(response.get("id"))
        if name in TERMINAL:
            self._ended(name, response)
        whole = bytes(said) if self._model is None else encode({**response, "model": self._model})
        if self._price is not None and name in TERMINAL:
            whole = self._billed(whole, self._price)
        elif self._model is None:
            return payload
        if self._model is None:
            return billing.with_field(payload, b"response", said, whole)
        return encode({**(codec.answer_fields(payload) or {}), "response": Raw(whole)})

    def _billed(self, response: bytes, price: Price) -> bytes:
        if self.usage is None:
            # Not every provider has told in deltas what stands here.
            self._text.at_least(estimated_output(response))
            if self.failure is not None and not self._text.tokens:
                # It failed with nothing said: nobody pays for it.
                self.usage = price(Usage(input_tokens=0, output_tokens=0))
                return billed(response, self.usage, replaced=True)
        usage = price(self.usage)
        return billed(response, usage, replaced=not usage.same_counts(self.usage))

    def _ended(self, name: str, response: Fields) -> None:
        if "usage" in response:
            self.usage = read_usage(response["usage"])
        if self.usage is not None:
            self.usage.service_tier = tier_of(codec.text_of(response.get("service_tier")))
        self.finish_reason = name.removeprefix("response.")
        if name == "response.failed":
            facts = failure_in(response)
            if not self.began:
                raise self._error(facts)
            self.failure = facts
        self.done = True


def error_facts(fields: Fields) -> ErrorFacts:
    """Of an `error` event: an object under `error` as OpenAI sends it, or the documented fields beside each other."""
    plain = {name: raw for name, raw in fields.items() if name in ("code", "message", "param", "status")}
    nested = error_in({"error": fields["error"]}) if "error" in fields else None
    return nested or error_in(plain) or ErrorFacts(message="")
