"""One attempt's request to an endpoint beside the protocols: embeddings, images, audio, moderations, rerank."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from trunkline.catalog.provider_row import Endpoint
from trunkline.providers import targets
from trunkline.providers.adapter import ACCOUNT_HEADER, Crossing, Reach
from trunkline.providers.credentials import SANDBOX_ORIGIN
from trunkline.providers.transport import Headers, UpstreamRequest

PATHS: Final[Mapping[Endpoint, bytes]] = MappingProxyType(
    {
        "embeddings": b"/embeddings",
        "images": b"/images/generations",
        "image_edits": b"/images/edits",
        "speech": b"/audio/speech",
        "transcriptions": b"/audio/transcriptions",
        "translations": b"/audio/translations",
        "moderations": b"/moderations",
        "rerank": b"/rerank",
    }
)
"""Under the prefix of a provider's OpenAI protocol: https://platform.openai.com/docs/api-reference; rerank is Jina's
and vLLM's: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#re-rank-api"""

JSON: Final = b"application/json"
_SAID_ANEW = frozenset((b"content-type", b"accept"))


class Content(msgspec.Struct, frozen=True):
    """A request's body: `whole`, or `pieces` of it that come later, `length` bytes together if that is known."""

    kind: bytes
    whole: bytes = b""
    pieces: AsyncIterator[bytes] | None = None
    length: int | None = None


def endpoint_request(reached: Reach, endpoint: Endpoint, content: Content, crossing: Crossing) -> UpstreamRequest:
    """`reached` is how a caller of OpenAI's protocol reaches the deployment."""
    upstream = reached.upstream
    headers: Headers = [(b"content-type", content.kind), (b"accept", b"*/*")]
    headers += [(name, value) for name, value in reached.whole if name not in _SAID_ANEW]
    headers += crossing.trace
    if upstream.origin is SANDBOX_ORIGIN:
        headers.append((ACCOUNT_HEADER, crossing.account_id.encode()))
    return UpstreamRequest(
        origin=upstream.origin,
        target=_target(reached, endpoint),
        headers=headers,
        body=content.whole,
        stream_body=content.pieces,
        stream_length=content.length,
        timers=crossing.timers,
        streaming=crossing.streaming,
        proxy=upstream.use_proxy,
        before_sending=crossing.before_sending,
    )


def _target(reached: Reach, endpoint: Endpoint) -> bytes:
    upstream, path = reached.upstream, PATHS[endpoint]
    if upstream.row.credential == "azure":
        return targets.azure(reached.prefix, path, reached.target.upstream, upstream.api_version)
    for named, elsewhere in upstream.row.elsewhere:
        if named == endpoint:
            return upstream.path_prefix + elsewhere.encode("ascii")
    return reached.prefix + path
