"""Every protocol that providers answer: where its calls go, and what goes with them beside the body."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from trunkline.providers import targets
from trunkline.providers.transport import Headers
from trunkline.translation.exchange import Request
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target
from trunkline.translation.translator import Translator
from trunkline.wire import anthropic_messages, cohere_chat, gemini, ollama_chat, openai_chat, openai_responses
from trunkline.wire.codec import Raw, answer_fields, encode
from trunkline.wire.inbound import Inbound

VERTEX = "vertex-"
"""How the versions of Messages begin that stand in the body, which then names no model:
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai"""


class ProviderProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is that of a whole answer, `stream_path` of a streamed one where it differs. `headers` are those of its
    version, `finished` is a body with what this provider's way of hosting the protocol asks for."""

    name: str
    path: Callable[[Target], bytes]
    stream_path: Callable[[Target], bytes] | None = None
    headers: Callable[[Target], Headers] | None = None
    finished: Callable[[bytes, Target], bytes] | None = None

    def path_of(self, target: Target, inbound: Inbound) -> bytes:
        return (self.stream_path or self.path)(target) if inbound.stream else self.path(target)

    def written(self, request: Request, target: Target, losses: Losses) -> bytes:
        """The body of a translated request."""
        body = self.translator.write_request(request, target, losses)
        return body if self.finished is None else self.finished(body, target)

    @property
    def translator(self) -> Translator:
        """Its room is entered by the first call that crosses: a gateway that only passes on never loads it."""
        return _translator(self.name)


@functools.cache
def _translator(protocol: str) -> Translator:
    found: Translator = importlib.import_module(f"trunkline.translation.{protocol}.translator").TRANSLATOR
    return found


def _messages_path(target: Target) -> bytes:
    if target.version.startswith(VERTEX):
        return targets.vertex_messages(target.upstream, streaming=False)
    return anthropic_messages.TARGET


def _messages_stream_path(target: Target) -> bytes:
    if target.version.startswith(VERTEX):
        return targets.vertex_messages(target.upstream, streaming=True)
    return anthropic_messages.TARGET


def _messages_headers(target: Target) -> Headers:
    return [] if target.version.startswith(VERTEX) else anthropic_messages.headers(target.version)


def _messages_finished(body: bytes, target: Target) -> bytes:
    if not target.version.startswith(VERTEX):
        return body
    fields = answer_fields(body) or {}
    fields.pop("model", None)
    fields["anthropic_version"] = Raw(encode(target.version))
    return encode(fields)


PROTOCOLS: Final[Mapping[str, ProviderProtocol]] = MappingProxyType(
    {
        one.name: one
        for one in (
            ProviderProtocol(name="openai_chat", path=lambda target: openai_chat.TARGET),
            ProviderProtocol(name="openai_responses", path=lambda target: openai_responses.TARGET),
            ProviderProtocol(
                name="anthropic_messages",
                path=_messages_path,
                stream_path=_messages_stream_path,
                headers=_messages_headers,
                finished=_messages_finished,
            ),
            ProviderProtocol(
                name="gemini",
                path=lambda target: gemini.path(target.upstream, stream=False),
                stream_path=lambda target: gemini.path(target.upstream, stream=True),
            ),
            ProviderProtocol(name="cohere_chat", path=lambda target: cohere_chat.TARGET),
            ProviderProtocol(name="ollama_chat", path=lambda target: ollama_chat.TARGET),
            ProviderProtocol(
                name="bedrock_converse",
                path=lambda target: targets.bedrock_converse(target.upstream, streaming=False),
                stream_path=lambda target: targets.bedrock_converse(target.upstream, streaming=True),
            ),
        )
    }
)
