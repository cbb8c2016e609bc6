"""Every protocol that callers speak: how it is read, passed on, measured."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from trunkline.pipeline.relay import EventStream
from trunkline.providers import passing
from trunkline.providers.protocols import PROTOCOLS, ProviderProtocol
from trunkline.translation import demand, estimate
from trunkline.translation.exchange import Request
from trunkline.translation.streams import MakeError
from trunkline.translation.target import Target
from trunkline.wire import (
    anthropic_messages,
    anthropic_messages_answer,
    gemini,
    gemini_answer,
    openai_chat,
    openai_chat_answer,
    openai_responses,
    openai_responses_answer,
)
from trunkline.wire.anthropic_messages_stream import MessagesStream
from trunkline.wire.demand import Demand
from trunkline.wire.gemini import GeminiRequest
from trunkline.wire.gemini_stream import GeminiStream
from trunkline.wire.inbound import Inbound, end_user
from trunkline.wire.openai_chat import ChatRequest
from trunkline.wire.openai_chat_stream import ChatStream
from trunkline.wire.openai_responses import ResponsesRequest
from trunkline.wire.openai_responses_stream import ResponsesStream
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Price, Usage


class Named(msgspec.Struct, frozen=True):
    """What stands in the path of a request, in protocols that name the model there. `events`: a stream is wanted as
    server-sent events, not as one JSON array."""

    model: str
    stream: bool
    events: bool = True


class Measured(Protocol):
    """A whole answer's facts. `error` is set when the provider hid a failure in an answer of status 200. What it is
    called and why it ended is None where it does not say."""

    @property
    def usage(self) -> Usage | None: ...
    @property
    def error(self) -> ErrorFacts | None: ...
    @property
    def response_id(self) -> str | None: ...
    @property
    def finish_reason(self) -> str | None: ...


class Editor(EventStream, Protocol):
    """A passed stream, which knows what the answer is called and why it ended, as far as it has come."""

    @property
    def response_id(self) -> str | None: ...
    @property
    def finish_reason(self) -> str | None: ...


class Billed(Protocol):
    """A whole answer with what it costs. `replaced`: its usage is ours, for the provider's does not count."""

    def __call__(self, body: bytes, usage: Usage, *, replaced: bool) -> bytes: ...


class Edits(msgspec.Struct, frozen=True, kw_only=True):
    """What a passed stream gets of ours: the name to show instead of the provider's, errors, what it costs."""

    model: str | None
    error: MakeError
    price: Price | None = None


def _found(pattern: re.Pattern[bytes], written: bytes) -> str | None:
    """The first is the answer's own: we write it so."""
    found = pattern.search(written)
    return found[1].decode() if found is not None else None


class CallerProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """As callers speak it, and what passing it on takes.

    endpoint     the route's name
    end_user     whom the caller serves with it, where the request says so
    read         the body; raises InvalidRequest
    may_pass     a provider of the protocol may get the body as it is
    passed_body  the edited body for a deployment; warnings are added to the list
    measure      what counts of a whole answer; raises UpstreamFailed when it is none
    id_in        the answer's id in what is written, whole or the beginning of a stream
    renamed      the answer with another model's name
    billed       the answer with what it costs, and with usage of ours where the provider's does not count
    editor       the stream's
    form_field   the field that may ask for an answer of a JSON schema
    last_words   the last event of a stream that failed on its way (None: it had none); without this, one that says
                 nothing of what came before
    """

    spoken: ProviderProtocol
    endpoint: str
    end_user: Callable[[Inbound], str | None]
    read: Callable[[bytes, Named | None], Inbound]
    passed_body: Callable[[Any, Target, list[str]], bytes]
    measure: Callable[[bytes], Measured]
    renamed: Callable[[bytes, str], bytes]
    billed: Billed
    estimated_output: Callable[[bytes], int]
    editor: Callable[[Any, Target, Edits], Editor]
    form_field: str
    id_in: Callable[[bytes], str | None] = functools.partial(_found, re.compile(rb'"id":"([^"\\]{1,200})"'))
    may_pass: Callable[[Any], bool] = lambda inbound: True
    last_words: Callable[[Any, str, str, str | None], bytes] | None = None

    @property
    def name(self) -> str:
        return self.spoken.name

    def demand(self, inbound: Inbound) -> Demand:
        """What a request may use at most."""
        return demand.demand(self.spoken.name, inbound, self._read)

    def _read(self, inbound: Inbound) -> Request:
        # The translator's room is entered only when something has to be read closely.
        return self.spoken.translator.read_request(inbound)

    def cap(self, inbound: Inbound, most: int) -> None:
        """Writes the longest answer, in tokens, into the request."""
        demand.with_max_output(self.spoken.name, inbound, most)

    def estimated_input(self, inbound: Inbound) -> int:
        """Its tokens, about."""
        return estimate.estimate_input(inbound, self._read)

    def wants_schema(self, inbound: Inbound) -> bool:
        """Whether it may; reading it closely can wait."""
        form = inbound.fields.get(self.form_field)
        return form is not None and b"chema" in bytes(form)


def _edit_chat(request: ChatRequest, target: Target, edits: Edits) -> ChatStream:
    return ChatStream(
        include_usage=request.include_usage,
        n=request.n,
        role_in_every_chunk=target.role_in_every_chunk,
        model=edits.model,
        error=edits.error,
        price=edits.price,
    )


def _edit_messages(request: Inbound, target: Target, edits: Edits) -> MessagesStream:
    return MessagesStream(model=edits.model, error=edits.error, price=edits.price)


def _read_gemini(body: bytes, path: Named | None) -> GeminiRequest:
    assert path is not None, "the path names the model"
    return gemini.read_request(body, path.model, stream=path.stream, sse=path.events)


def _edit_gemini(request: Inbound, target: Target, edits: Edits) -> GeminiStream:
    return GeminiStream(model=edits.model, error=edits.error)


def _read_responses(body: bytes, named: Named | None) -> ResponsesRequest:
    """What runs without its caller is asked for as a stream, whether or not he wants one: its events are kept."""
    request = openai_responses.read_request(body)
    request.stream = request.stream or request.background
    return request


def _edit_responses(request: Inbound, target: Target, edits: Edits) -> ResponsesStream:
    return ResponsesStream(model=edits.model, error=edits.error, price=edits.price)


def _last_words_of_responses(stream: ResponsesStream | None, kind: str, message: str, code: str | None) -> bytes:
    number = stream.next_sequence_number if stream is not None else 0
    return openai_responses.error_event(kind, message, None, code, number)


CHAT = CallerProtocol(
    spoken=PROTOCOLS["openai_chat"],
    endpoint="chat",
    end_user=lambda inbound: end_user(inbound.fields),
    billed=openai_chat_answer.billed,
    estimated_output=openai_chat_answer.estimated_output,
    read=lambda body, named: openai_chat.read_request(body),
    passed_body=passing.chat_body,
    measure=openai_chat_answer.read_answer,
    renamed=openai_chat_answer.with_model,
    editor=_edit_chat,
    form_field="response_format",
)
GEMINI = CallerProtocol(
    spoken=PROTOCOLS["gemini"],
    endpoint="generate",
    end_user=lambda inbound: None,
    billed=gemini_answer.billed,
    estimated_output=gemini_answer.estimated_output,
    read=_read_gemini,
    passed_body=passing.gemini_body,
    measure=gemini_answer.read_answer,
    renamed=gemini_answer.with_model,
    editor=_edit_gemini,
    id_in=functools.partial(_found, re.compile(rb'"responseId":"([^"\\]{1,200})"')),
    form_field="generationConfig",
)
MESSAGES = CallerProtocol(
    spoken=PROTOCOLS["anthropic_messages"],
    endpoint="messages",
    end_user=lambda inbound: anthropic_messages.end_user(inbound.fields),
    billed=anthropic_messages_answer.billed,
    estimated_output=anthropic_messages_answer.estimated_output,
    read=lambda body, named: anthropic_messages.read_request(body),
    passed_body=passing.messages_body,
    measure=anthropic_messages_answer.read_answer,
    renamed=anthropic_messages_answer.with_model,
    editor=_edit_messages,
    form_field="output_config",
)
RESPONSES = CallerProtocol(
    spoken=PROTOCOLS["openai_responses"],
    endpoint="responses",
    end_user=lambda inbound: end_user(inbound.fields),
    billed=openai_responses_answer.billed,
    estimated_output=openai_responses_answer.estimated_output,
    read=_read_responses,
    passed_body=passing.responses_body,
    measure=openai_responses_answer.read_answer,
    renamed=openai_responses_answer.with_model,
    editor=_edit_responses,
    form_field="text",
    may_pass=lambda request: request.is_stateless,
    last_words=_last_words_of_responses,
)
