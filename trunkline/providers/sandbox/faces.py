"""The protocols that the sandbox speaks, one face each: whose path it is answers, in that protocol's own shapes."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.errors import NotFound
from trunkline.providers.sandbox import chat, gemini, messages, openai_api, openai_errors
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.response import Plan
from trunkline.providers.transport import UpstreamRequest

Face = Callable[[UpstreamRequest, bytes, FaultCounts], Plan | None]
"""Of a request, the account that `faulty` counts for, and the counts: the answer, or None when the path is another's.

A face never raises for what a caller sends: a refusal is an answer.
"""


def faces() -> list[Face]:
    """All faces, in the order in which they are asked. What a face remembers is its own, and so its transport's."""
    return [
        chat_completions,
        messages.MessagesFace(),
        gemini.face,
        openai_api.face,
    ]


def answer(known: list[Face], request: UpstreamRequest, account: bytes, counts: FaultCounts) -> Plan:
    """The first face that answers; else 404, as OpenAI says it."""
    for face in known:
        if plan := face(request, account, counts):
            return plan
    path = path_of(request)[:200].decode("latin-1")
    return openai_errors.refusal(
        NotFound(f"unknown request URL: {request.method.decode('latin-1')} {path}", code="unknown_url")
    )


def path_of(request: UpstreamRequest) -> bytes:
    """The target without its query."""
    return request.target.partition(b"?")[0]


def chat_completions(request: UpstreamRequest, account: bytes, counts: FaultCounts) -> Plan | None:
    if request.method != b"POST" or not path_of(request).endswith(b"/chat/completions"):
        return None
    return chat.answer(request.body, account, counts)
