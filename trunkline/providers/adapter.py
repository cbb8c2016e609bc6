"""One attempt's request: where it goes, the headers that may cross, and what a writer must know of who answers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trunkline import __version__
from trunkline.catalog import families
from trunkline.catalog.models import Deployment
from trunkline.catalog.provider_row import Face
from trunkline.ids import AccountId
from trunkline.providers import targets
from trunkline.providers.credentials import SANDBOX_ORIGIN, Upstream, credential_headers
from trunkline.providers.transport import Headers, Timers, UpstreamRequest
from trunkline.translation.target import Target

USER_AGENT = f"trunkline/{__version__}".encode()
ACCOUNT_HEADER = b"x-sandbox-account"

# accept-encoding: an event must be readable the moment it arrives.
WHOLE_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"identity"),
    (b"user-agent", USER_AGENT),
]
STREAM_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"accept", b"text/event-stream"),
    (b"accept-encoding", b"identity"),
    (b"user-agent", USER_AGENT),
]


class Crossing(msgspec.Struct, frozen=True):
    """What of a call reaches the provider beside its body. `trace`: the caller's W3C trace headers, the only ones of
    his that cross to every provider. `account_id` goes to the sandbox alone, which counts failures by it.
    `before_sending` as in transport.UpstreamRequest."""

    account_id: AccountId
    trace: Headers
    timers: Timers
    streaming: bool
    before_sending: Callable[[], None] | None = None


class Reach(msgspec.Struct, frozen=True):
    """A deployment as a caller of one protocol reaches it; the same for every such call.

    `prefix` comes before the protocol's own path; `whole` and `streamed` are the headers that every request has.
    """

    face: Face
    target: Target
    upstream: Upstream
    prefix: bytes
    whole: Headers
    streamed: Headers


def reach(deployment: Deployment, upstream: Upstream, protocol: str) -> Reach:
    """`protocol` is the caller's: the provider is asked in the same if it speaks it."""
    face = deployment.face(protocol)
    credential: Headers = list(upstream.headers)
    if face.credential is not None and upstream.secret is not None:
        credential = list(credential_headers(face.credential, upstream.secret))
    return Reach(
        face,
        _target(deployment, face),
        upstream,
        upstream.path_prefix + face.prefix.encode(),
        [*WHOLE_HEADERS, *credential],
        [*STREAM_HEADERS, *credential],
    )


def _target(deployment: Deployment, face: Face) -> Target:
    dialect, model = deployment.provider.dialect, deployment.model
    family = families.find(deployment.provider.id, deployment.upstream)
    return Target(
        provider_id=deployment.provider_id,
        model_id=deployment.model_id,
        upstream=deployment.upstream,
        version=face.version,
        max_output_tokens=model.max_output_tokens if model else None,
        drops=(*dialect.drops, *family.drops) if family else dialect.drops,
        thinking=family.thinking if family else None,
        json_schema=model.capabilities.json_schema if model else None,
        tools=model.capabilities.tools if model else None,
        max_tokens_only=dialect.max_tokens_only,
        max_tokens_renamed=family is not None and family.max_tokens_renamed,
        refuses_stream_options=dialect.refuses_stream_options,
        role_in_every_chunk=dialect.role_in_every_chunk,
        returns_reasoning=dialect.returns_reasoning,
        takes_cache_control=dialect.takes_cache_control,
    )


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A body for a provider. `path` is the protocol's own, `headers` what it wants beside the credential, such as its
    version."""

    path: bytes
    body: bytes
    headers: Headers = []


def request_to(reached: Reach, outgoing: Outgoing, crossing: Crossing) -> UpstreamRequest:
    upstream = reached.upstream
    headers = [*(reached.streamed if crossing.streaming else reached.whole), *outgoing.headers, *crossing.trace]
    if upstream.origin is SANDBOX_ORIGIN:
        headers.append((ACCOUNT_HEADER, crossing.account_id.encode()))
    return UpstreamRequest(
        origin=upstream.origin,
        target=_path(reached, outgoing.path),
        headers=headers,
        body=outgoing.body,
        timers=crossing.timers,
        streaming=crossing.streaming,
        proxy=upstream.use_proxy,
        before_sending=crossing.before_sending,
    )


def _path(reached: Reach, path: bytes) -> bytes:
    upstream = reached.upstream
    if upstream.row.credential == "azure":
        return targets.azure(reached.prefix, path, reached.target.upstream, upstream.api_version)
    return reached.prefix + path
