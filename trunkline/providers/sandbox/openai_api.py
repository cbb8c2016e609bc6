"""The endpoints of OpenAI's API beside Chat Completions, and the face that they share."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.errors import TrunklineError
from trunkline.providers.sandbox import (
    embeddings,
    images_api,
    moderations,
    openai_errors,
    rerank,
    responses,
    speech,
    transcriptions,
)
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.openai_errors import JSON
from trunkline.providers.sandbox.response import Plan
from trunkline.providers.transport import Headers, UpstreamRequest


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
    """A JSON body in, a JSON body out."""
    return lambda request, account, counts: Plan(headers=JSON, steps=iter((answer(request.body),)))


def _planned(answer: Callable[[bytes], Plan]) -> Endpoint:
    """A JSON body in, an answer of any kind out."""
    return lambda request, account, counts: answer(request.body)


def _form(answer: Callable[[Headers, bytes], Plan]) -> Endpoint:
    """A multipart form in."""
    return lambda request, account, counts: answer(request.headers, request.body)


_ENDPOINTS: tuple[tuple[bytes, Endpoint], ...] = (
    (b"/responses", _responses),
    (b"/responses/input_tokens", _json(responses.count_input)),
    (b"/responses/compact", _json(responses.compact)),
    (b"/embeddings", _json(embeddings.answer)),
    (b"/images/generations", _planned(images_api.generate)),
    (b"/images/edits", _form(images_api.edit)),
    (b"/audio/speech", _planned(speech.answer)),
    (b"/audio/transcriptions", _form(transcriptions.transcribe)),
    (b"/audio/translations", _form(transcriptions.translate)),
    (b"/moderations", _json(moderations.answer)),
    (b"/rerank", _json(rerank.answer)),
)
