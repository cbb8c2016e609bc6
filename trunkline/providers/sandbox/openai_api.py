"""The endpoints of OpenAI's API beside Chat Completions, and the face that they share."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.errors import TrunklineError
from trunkline.providers.sandbox import openai_errors, responses
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.openai_errors import JSON
from trunkline.providers.sandbox.response import Plan
from trunkline.providers.transport import UpstreamRequest


def face(request: UpstreamRequest, account: bytes, counts: FaultCounts) -> Plan | None:
    """The answer, or None when the path is no endpoint of this table. A refusal is an answer, in OpenAI's envelope."""
    path = request.target.partition(b"?")[0]
    if request.method != b"POST":
        return None
    try:
        for ending, endpoint in _ENDPOINTS:
            if path.endswith(ending):
                return endpoint(request, account, counts)
    except TrunklineError as error:
        return openai_errors.refusal(error)
    return None


Endpoint = Callable[[UpstreamRequest, bytes, FaultCounts], Plan]


def _responses(request: UpstreamRequest, account: bytes, counts: FaultCounts) -> Plan:
    return responses.create(request.body, account, counts)


def _json(answer: Callable[[bytes], bytes]) -> Endpoint:
    """An endpoint that answers a JSON body with a JSON body."""

    def endpoint(request: UpstreamRequest, account: bytes, counts: FaultCounts) -> Plan:
        return Plan(headers=JSON, steps=iter((answer(request.body),)))

    return endpoint


_ENDPOINTS: tuple[tuple[bytes, Endpoint], ...] = (
    (b"/responses", _responses),
    (b"/responses/input_tokens", _json(responses.count_input)),
    (b"/responses/compact", _json(responses.compact)),
)
