"""How the tests ask the sandbox over Gemini's API, and the shape of its answers by the public reference.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse; a field that is not there is refused.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Literal

import msgspec

from tests.providers.sandbox.exchange import JSON, LIMIT, Answered
from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.providers.transport import Headers, Origin, Timers, UpstreamRequest

PARAMETERS = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
TOOLS = [{"functionDeclarations": [{"name": name, "parameters": PARAMETERS} for name in ("weather", "forecast")]}]
THOUGHTS = {"thinkingConfig": {"includeThoughts": True}}


class _Shape(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    pass


class FunctionCall(_Shape):
    name: str
    args: dict[str, Any]
    id: str


class Part(_Shape):
    text: str | None = None
    function_call: FunctionCall | None = None
    thought: bool | None = None
    thought_signature: str | None = None


class Content(_Shape):
    role: Literal["model"]
    parts: list[Part] | None = None


class Logprob(_Shape):
    token: str
    log_probability: float


class TopLogprobs(_Shape):
    candidates: list[Logprob]


class LogprobsResult(_Shape):
    chosen_candidates: list[Logprob]
    top_candidates: list[TopLogprobs]


class Candidate(_Shape):
    index: int
    content: Content | None = None
    finish_reason: Literal["STOP", "MAX_TOKENS", "SAFETY"] | None = None
    avg_logprobs: float | None = None
    logprobs_result: LogprobsResult | None = None


class ModalityCount(_Shape):
    modality: Literal["TEXT"]
    token_count: int


class Usage(_Shape):
    prompt_token_count: int
    total_token_count: int
    prompt_tokens_details: list[ModalityCount]
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0


class Response(_Shape):
    candidates: list[Candidate]
    model_version: str
    response_id: str
    usage_metadata: Usage | None = None


def ask_for(text: str | list[JSON], **more: Any) -> JSON:
    parts = [{"text": text}] if isinstance(text, str) else text
    return {"contents": [{"role": "user", "parts": parts}], **more}


def request(
    model: str,
    body: JSON | bytes,
    method: str = "generateContent",
    headers: Headers | None = None,
    timers: Timers | None = None,
) -> UpstreamRequest:
    return UpstreamRequest(
        origin=Origin("http", "sandbox.invalid", 80),
        target=f"/v1beta/models/{model}:{method}".encode(),
        headers=headers or [],
        body=body if isinstance(body, bytes) else msgspec.json.encode(body),
        timers=timers or Timers(),
        streaming=method.startswith("stream"),
    )


async def ask(
    transport: SandboxTransport, model: str, body: JSON | bytes, method: str = "generateContent", account: bytes = b""
) -> Answered:
    headers = [(b"x-sandbox-account", account)]
    response = await transport.send(request(model, body, method, headers))
    answered = Answered(response.status, dict(response.headers), await response.read(LIMIT))
    assert transport.live == 0
    return answered


async def said(transport: SandboxTransport, model: str, body: JSON) -> Response:
    answered = await ask(transport, model, body)
    assert answered.status == 200, answered.body
    return msgspec.json.decode(answered.body, type=Response)


async def streamed(transport: SandboxTransport, model: str, body: JSON, *, sse: bool = True) -> list[Response]:
    """The chunks, which are the same as events and as an array."""
    answered = await ask(transport, model, body, "streamGenerateContent?alt=sse" if sse else "streamGenerateContent")
    assert answered.status == 200, answered.body
    return events(answered.body) if sse else msgspec.json.decode(answered.body, type=list[Response])


def events(body: bytes) -> list[Response]:
    assert body.endswith(b"\r\n\r\n")
    lines = body[:-4].split(b"\r\n\r\n")
    assert all(line.startswith(b"data: ") and b"\n" not in line for line in lines)
    return [msgspec.json.decode(line[6:], type=Response) for line in lines]


def joined(chunks: list[Response]) -> Response:
    """What a stream adds up to: texts of one kind grow, a signature belongs to the text before it."""
    assert len({(chunk.model_version, chunk.response_id) for chunk in chunks}) == 1
    found: dict[int, Candidate] = {}
    for chunk in chunks:
        for candidate in chunk.candidates:
            whole = found.setdefault(candidate.index, Candidate(index=candidate.index))
            assert whole.finish_reason is None, "a chunk after the last"
            whole.finish_reason = candidate.finish_reason
            _add_logprobs(whole, candidate)
            parts = candidate.content.parts or [] if candidate.content else []
            if parts:
                whole.content = Content(role="model", parts=_grown(whole.content, parts))
    last = chunks[-1]
    return Response(
        candidates=[found[index] for index in sorted(found)],
        model_version=last.model_version,
        response_id=last.response_id,
        usage_metadata=last.usage_metadata,
    )


def _grown(content: Content | None, more: list[Part]) -> list[Part]:
    parts = list(content.parts or []) if content else []
    for part in more:
        last = parts[-1] if parts else Part()
        if part.text is not None and last.text is not None and part.thought == last.thought:
            last.text += part.text
            last.thought_signature = part.thought_signature or last.thought_signature
        elif part.text != "":
            parts.append(part)
    return parts


def _add_logprobs(whole: Candidate, candidate: Candidate) -> None:
    if candidate.logprobs_result is None:
        return
    if whole.logprobs_result is None:
        whole.logprobs_result = candidate.logprobs_result
    else:
        whole.logprobs_result.chosen_candidates += candidate.logprobs_result.chosen_candidates
        whole.logprobs_result.top_candidates += candidate.logprobs_result.top_candidates


def plain(response: Response) -> Response:
    """Without ids, which may differ, without the average that only a whole answer has, and without empty parts."""
    for candidate in response.candidates:
        candidate.avg_logprobs = None
        for part in candidate.content.parts or [] if candidate.content else []:
            if part.function_call is not None:
                assert part.function_call.id.startswith("call_")
                part.function_call.id = ""
            if part.thought_signature is not None:
                assert b64decode(part.thought_signature, validate=True)
        if candidate.content is not None and not candidate.content.parts:
            candidate.content = None
    response.response_id = ""
    return response


def parts_of(response: Response) -> list[Part]:
    (candidate,) = response.candidates
    assert candidate.content is not None
    return candidate.content.parts or []
