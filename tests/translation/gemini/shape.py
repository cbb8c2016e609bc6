"""What the reference says an answer looks like, strictly: a field that it does not have, or a part that is two things,
is an error. https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Literal

import msgspec


class Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Blob(Strict):
    mime_type: str
    data: str


class FileData(Strict):
    file_uri: str
    mime_type: str | None = None


class FunctionCall(Strict):
    name: str
    args: dict[str, Any]
    id: str


class Part(Strict):
    text: str | None = None
    thought: Literal[True] | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None

    def __post_init__(self) -> None:
        given = [self.text, self.function_call, self.inline_data, self.file_data]
        if sum(one is not None for one in given) != 1:
            raise ValueError("a part is one thing")
        if self.thought_signature is not None:
            b64decode(self.thought_signature, validate=True)


class Content(Strict):
    role: Literal["model"]
    parts: list[Part] | None = None

    def __post_init__(self) -> None:
        if self.parts == []:
            raise ValueError("parts are left out where there are none")


class Logprob(Strict):
    token: str
    log_probability: float


class TopLogprobs(Strict):
    candidates: list[Logprob]


class LogprobsResult(Strict):
    chosen_candidates: list[Logprob]
    top_candidates: list[TopLogprobs]


class Candidate(Strict):
    content: Content
    index: int
    finish_reason: Literal["STOP", "MAX_TOKENS", "SAFETY"] | None = None
    avg_logprobs: float | None = None
    logprobs_result: LogprobsResult | None = None


class ModalityTokenCount(Strict):
    modality: Literal["TEXT", "AUDIO"]
    token_count: int


class UsageMetadata(Strict):
    prompt_token_count: int
    total_token_count: int
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None
    prompt_tokens_details: list[ModalityTokenCount] | None = None
    candidates_tokens_details: list[ModalityTokenCount] | None = None

    def __post_init__(self) -> None:
        counted = self.prompt_token_count + (self.candidates_token_count or 0) + (self.thoughts_token_count or 0)
        if counted != self.total_token_count:
            raise ValueError("the total is the sum")


class Response(Strict):
    model_version: str
    response_id: str
    candidates: list[Candidate] | None = None
    usage_metadata: UsageMetadata | None = None


def decoded(body: bytes) -> Response:
    return msgspec.json.decode(body, type=Response)


def chunks_of(stream: bytes) -> list[Response]:
    """Of a stream, framed as plainly as can be."""
    assert stream.endswith(b"\n\n")
    assert b"\r" not in stream
    events = stream.split(b"\n\n")[:-1]
    assert all(event.startswith(b"data: {") and b"\n" not in event for event in events)
    return [decoded(event[6:]) for event in events]


def put_together(chunks: list[Response]) -> Response:
    """As a client does: parts one after the other, text of one kind joined. A signature ends the text it stands on, or
    the one before it where it stands alone."""
    whole = Response(model_version=chunks[0].model_version, response_id=chunks[0].response_id, candidates=[])
    assert whole.candidates is not None
    found: dict[int, Candidate] = {}
    for chunk in chunks:
        assert (chunk.model_version, chunk.response_id) == (whole.model_version, whole.response_id)
        whole.usage_metadata = chunk.usage_metadata or whole.usage_metadata
        for said in chunk.candidates or ():
            candidate = found.setdefault(said.index, Candidate(content=Content(role="model"), index=said.index))
            assert candidate.finish_reason is None, "nothing comes after the reason"
            candidate.finish_reason = said.finish_reason
            for part in said.content.parts or ():
                _add(candidate.content, part)
            _add_logprobs(candidate, said)
    whole.candidates = [candidate for _, candidate in sorted(found.items())]
    return whole


def _add(content: Content, part: Part) -> None:
    if part == Part(text=""):
        return  # the end of a stream brings one
    if part == Part(text=""):
        return  # the end of a stream
    parts = content.parts = content.parts or []
    last = parts[-1] if parts else None
    if (
        part.text is not None
        and last is not None
        and last.text is not None
        and (last.thought, last.thought_signature) == (part.thought, None)
    ):
        last.text += part.text
        last.thought_signature = part.thought_signature
    else:
        parts.append(part)


def _add_logprobs(candidate: Candidate, said: Candidate) -> None:
    result = said.logprobs_result
    if result is None:
        return
    if candidate.logprobs_result is None:
        candidate.logprobs_result = LogprobsResult(chosen_candidates=[], top_candidates=[])
    whole = candidate.logprobs_result
    whole.chosen_candidates += result.chosen_candidates
    whole.top_candidates += result.top_candidates
    chosen = [one.log_probability for one in whole.chosen_candidates]
    candidate.avg_logprobs = sum(chosen) / len(chosen)
