"""Every protocol that callers speak: how it is read, passed on, measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.pipeline.relay import EventStream
from trunkline.providers import passing
from trunkline.providers.protocols import PROTOCOLS, ProviderProtocol
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
from trunkline.wire.gemini import GeminiRequest
from trunkline.wire.gemini_stream import GeminiStream
from trunkline.wire.inbound import Inbound
from trunkline.wire.openai_chat import ChatRequest
from trunkline.wire.openai_chat_stream import ChatStream
from trunkline.wire.openai_responses import ResponsesRequest
from trunkline.wire.openai_responses_stream import ResponsesStream
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage


class Named(msgspec.Struct, frozen=True):
    """What stands in the path of a request, in protocols that name the model there. `events`: a stream is wanted as
    server-sent events, not as one JSON array."""

    model: str
    stream: bool
    events: bool = True


class CallerProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """As callers speak it, and what passing it on takes.

    read         the body; raises InvalidRequest
    may_pass     a provider of the protocol may get the body as it is
    passed_body  the edited body for a deployment; warnings are added to the list
    measure      usage and a hidden error of a whole answer; raises UpstreamFailed when it is none
    renamed      the answer with another model's name
    editor       the stream's
    form_field   the field that may ask for an answer of a JSON schema
    last_words   the last event of a stream that failed on its way (None: it had none); without this, one that says
                 nothing of what came before
    """

    spoken: ProviderProtocol
    read: Callable[[bytes, Named | None], Inbound]
    passed_body: Callable[[Any, Target, list[str]], bytes]
    measure: Callable[[bytes], tuple[Usage | None, ErrorFacts | None]]
    renamed: Callable[[bytes, str], bytes]
    editor: Callable[[Any, Target, str | None, MakeError], EventStream]
    form_field: str
    may_pass: Callable[[Any], bool] = lambda inbound: True
    last_words: Callable[[Any, str, str, str | None], bytes] | None = None

    @property
    def name(self) -> str:
        return self.spoken.name

    def wants_schema(self, inbound: Inbound) -> bool:
        """Whether it may; reading it closely can wait."""
        form = inbound.fields.get(self.form_field)
        return form is not None and b"chema" in bytes(form)


def _measure_chat(body: bytes) -> tuple[Usage | None, ErrorFacts | None]:
    answer = openai_chat_answer.read_answer(body)
    return answer.usage, answer.error


def _edit_chat(request: ChatRequest, target: Target, model: str | None, error: MakeError) -> ChatStream:
    return ChatStream(
        include_usage=request.include_usage,
        n=request.n,
        role_in_every_chunk=target.role_in_every_chunk,
        model=model,
        error=error,
    )


def _measure_messages(body: bytes) -> tuple[Usage | None, ErrorFacts | None]:
    answer = anthropic_messages_answer.read_answer(body)
    return answer.usage, answer.error


def _edit_messages(request: Inbound, target: Target, model: str | None, error: MakeError) -> MessagesStream:
    return MessagesStream(model=model, error=error)


def _read_gemini(body: bytes, path: Named | None) -> GeminiRequest:
    assert path is not None, "the path names the model"
    return gemini.read_request(body, path.model, stream=path.stream, sse=path.events)


def _measure_gemini(body: bytes) -> tuple[Usage | None, ErrorFacts | None]:
    answer = gemini_answer.read_answer(body)
    return answer.usage, answer.error


def _edit_gemini(request: Inbound, target: Target, model: str | None, error: MakeError) -> GeminiStream:
    return GeminiStream(model=model, error=error)


def _read_responses(body: bytes, named: Named | None) -> ResponsesRequest:
    """What runs without its caller is asked for as a stream, whether or not he wants one: its events are kept."""
    request = openai_responses.read_request(body)
    request.stream = request.stream or request.background
    return request


def _measure_responses(body: bytes) -> tuple[Usage | None, ErrorFacts | None]:
    answer = openai_responses_answer.read_answer(body)
    return answer.usage, answer.error


def _edit_responses(request: Inbound, target: Target, model: str | None, error: MakeError) -> ResponsesStream:
    return ResponsesStream(model=model, error=error)


def _last_words_of_responses(stream: ResponsesStream | None, kind: str, message: str, code: str | None) -> bytes:
    number = stream.next_sequence_number if stream is not None else 0
    return openai_responses.error_event(kind, message, None, code, number)


CHAT = CallerProtocol(
    spoken=PROTOCOLS["openai_chat"],
    read=lambda body, named: openai_chat.read_request(body),
    passed_body=passing.chat_body,
    measure=_measure_chat,
    renamed=openai_chat_answer.with_model,
    editor=_edit_chat,
    form_field="response_format",
)
GEMINI = CallerProtocol(
    spoken=PROTOCOLS["gemini"],
    read=_read_gemini,
    passed_body=passing.gemini_body,
    measure=_measure_gemini,
    renamed=gemini_answer.with_model,
    editor=_edit_gemini,
    form_field="generationConfig",
)
MESSAGES = CallerProtocol(
    spoken=PROTOCOLS["anthropic_messages"],
    read=lambda body, named: anthropic_messages.read_request(body),
    passed_body=passing.messages_body,
    measure=_measure_messages,
    renamed=anthropic_messages_answer.with_model,
    editor=_edit_messages,
    form_field="output_config",
)
RESPONSES = CallerProtocol(
    spoken=PROTOCOLS["openai_responses"],
    read=_read_responses,
    passed_body=passing.responses_body,
    measure=_measure_responses,
    renamed=openai_responses_answer.with_model,
    editor=_edit_responses,
    form_field="text",
    may_pass=lambda request: request.is_stateless,
    last_words=_last_words_of_responses,
)
