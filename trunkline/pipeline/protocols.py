"""Every protocol by name: those that providers answer, and those that callers speak."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from trunkline.pipeline.relay import EventStream
from trunkline.providers import passing
from trunkline.providers.transport import Headers
from trunkline.translation.streams import MakeError
from trunkline.translation.target import Target
from trunkline.translation.translator import Translator
from trunkline.wire import openai_chat, openai_chat_answer
from trunkline.wire.inbound import Inbound
from trunkline.wire.openai_chat import ChatRequest
from trunkline.wire.openai_chat_stream import ChatStream
from trunkline.wire.provider_errors import ErrorFacts
from trunkline.wire.usage import Usage


def _no_headers(target: Target) -> Headers:
    return []


class Named(msgspec.Struct, frozen=True):
    """What stands in the path of a request, in protocols that name the model there."""

    model: str
    stream: bool


class ProviderProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """As providers answer it. `path` is that of a call (the flag: streamed), `headers` its version's."""

    name: str
    path: Callable[[Target, bool], bytes]
    headers: Callable[[Target], Headers] = _no_headers

    @property
    def translator(self) -> Translator:
        """Its room is entered by the first call that crosses: a gateway that only passes on never loads it."""
        return _translator(self.name)


@functools.cache
def _translator(protocol: str) -> Translator:
    found: Translator = importlib.import_module(f"trunkline.translation.{protocol}.translator").TRANSLATOR
    return found


class CallerProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """As callers speak it, and what passing it on takes.

    read         the body; raises InvalidRequest
    may_pass     a provider of the protocol may get the body as it is
    passed_body  the edited body for a deployment; warnings are added to the list
    measure      usage and a hidden error of a whole answer; raises UpstreamFailed when it is none
    renamed      the answer with another model's name
    editor       the stream's
    form_field   the field that may ask for an answer of a JSON schema
    """

    spoken: ProviderProtocol
    read: Callable[[bytes, Named | None], Inbound]
    passed_body: Callable[[Any, Target, list[str]], bytes]
    measure: Callable[[bytes], tuple[Usage | None, ErrorFacts | None]]
    renamed: Callable[[bytes, str], bytes]
    editor: Callable[[Any, Target, str | None, MakeError], EventStream]
    form_field: str
    may_pass: Callable[[Any], bool] = lambda inbound: True

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


_CHAT = ProviderProtocol(name="openai_chat", path=lambda target, stream: openai_chat.TARGET)

PROVIDER_PROTOCOLS: Final[Mapping[str, ProviderProtocol]] = MappingProxyType({one.name: one for one in (_CHAT,)})

CHAT = CallerProtocol(
    spoken=_CHAT,
    read=lambda body, named: openai_chat.read_request(body),
    passed_body=passing.chat_body,
    measure=_measure_chat,
    renamed=openai_chat_answer.with_model,
    editor=_edit_chat,
    form_field="response_format",
)
