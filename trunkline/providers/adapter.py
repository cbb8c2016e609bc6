"""One attempt's request: the caller's body with the edits that the deployment needs, and the headers that may cross.

Every value that is not edited keeps the bytes it came in. What was dropped or changed is named in a warning.
"""

from __future__ import annotations

import msgspec

from trunkline import __version__
from trunkline.catalog.models import Deployment
from trunkline.ids import AccountId
from trunkline.providers.credentials import SANDBOX_ORIGIN, Upstream
from trunkline.providers.transport import Headers, Timers, UpstreamRequest
from trunkline.wire.codec import Raw, encode
from trunkline.wire.openai_chat import ChatRequest

USER_AGENT = f"trunkline/{__version__}".encode()
TARGET = b"/chat/completions"
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


def chat_body(request: ChatRequest, deployment: Deployment, warnings: list[str]) -> bytes:
    """The body for this deployment. `warnings` gains a line for everything the upstream will not see as it was sent."""
    fields = dict(request.fields)
    fields["model"] = Raw(encode(deployment.upstream))
    dialect = deployment.provider.dialect
    if dialect.refuses_stream_options:
        fields.pop("stream_options", None)
        dropped = [name for name in request.stream_options or () if name != "include_usage"]
        warnings += [f"dropped stream_options.{name}: not supported by {deployment.model_id}" for name in dropped]
    elif request.stream:
        fields["stream_options"] = request.stream_options_with_usage()
    if dialect.max_tokens_only and "max_completion_tokens" in fields:
        limit = fields.pop("max_completion_tokens")
        fields.setdefault("max_tokens", limit)
    for name in dialect.drops:
        if fields.pop(name, None) is not None:
            warnings.append(f"dropped {name}: not supported by {deployment.model_id}")
    return encode(fields)


class Crossing(msgspec.Struct, frozen=True):
    """What of a call reaches the provider beside its body. `trace`: the caller's W3C trace headers, the only ones of
    his that cross. `account_id` goes to the sandbox alone, which counts failures by it."""

    account_id: AccountId
    trace: Headers
    timers: Timers
    streaming: bool


def chat_request(upstream: Upstream, body: bytes, crossing: Crossing) -> UpstreamRequest:
    headers = [*(STREAM_HEADERS if crossing.streaming else WHOLE_HEADERS), *upstream.headers, *crossing.trace]
    if upstream.origin is SANDBOX_ORIGIN:
        headers.append((ACCOUNT_HEADER, crossing.account_id.encode()))
    return UpstreamRequest(
        origin=upstream.origin,
        target=upstream.path_prefix + TARGET,
        headers=headers,
        body=body,
        timers=crossing.timers,
        streaming=crossing.streaming,
        proxy=upstream.use_proxy,
    )
