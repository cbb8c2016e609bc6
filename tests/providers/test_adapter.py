"""What crosses to a provider beside the body: the headers of the list and no other."""

from __future__ import annotations

import pytest

from trunkline import __version__
from trunkline.catalog.models import Deployment
from trunkline.ids import AccountId
from trunkline.providers import adapter, credentials
from trunkline.providers.adapter import Crossing, Outgoing
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.transport import Headers, Timers, UpstreamRequest

TRACE: Headers = [(b"traceparent", b"00-1-2-01"), (b"tracestate", b"a=b")]
LISTED = {
    b"content-type",
    b"accept",
    b"accept-encoding",
    b"user-agent",
    b"traceparent",
    b"tracestate",
}


def request_to(
    provider: str, kind: str, *, streaming: bool = False, trace: Headers | None = None, own: Headers | None = None
) -> UpstreamRequest:
    options = (
        {}
        if provider == "sandbox"
        else {provider: ProviderOptions(kind=kind, base_url="https://p.example:444/a/b/", api_key="sk-theirs")}
    )
    upstream = credentials.configured(options, {})[provider]
    crossing = Crossing(AccountId("acct_1"), trace or [], Timers(total_s=5), streaming)
    deployment = Deployment(model_id="m", provider_id=provider, provider=upstream.row, upstream="m")
    reach = adapter.reach(deployment, upstream, "openai_chat")
    return adapter.request_to(reach, Outgoing(b"/chat/completions", b"{}", own or []), crossing)


@pytest.mark.parametrize(
    ("kind", "credential"),
    [
        ("openai", (b"authorization", b"Bearer sk-theirs")),
        ("vllm", (b"authorization", b"Bearer sk-theirs")),
        ("azure", (b"api-key", b"sk-theirs")),
    ],
)
@pytest.mark.parametrize("streaming", [True, False])
def test_exactly_the_listed_headers_cross(kind: str, credential: tuple[bytes, bytes], streaming: bool) -> None:
    request = request_to("mine", kind, streaming=streaming, trace=TRACE)
    assert request.headers == [
        (b"content-type", b"application/json"),
        (b"accept", b"text/event-stream" if streaming else b"application/json"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"trunkline/" + __version__.encode()),
        credential,
        *TRACE,
    ]
    assert {name for name, _ in request.headers} == LISTED | {credential[0]}
    assert (request.method, request.target) == (b"POST", b"/a/b/chat/completions")
    assert (request.origin.host, request.origin.port) == ("p.example", 444)
    assert (request.body, request.streaming, request.proxy) == (b"{}", streaming, True)
    assert request.timers == Timers(total_s=5)


def test_the_sandbox_alone_learns_the_account_and_gets_no_credential() -> None:
    names = [name for name, _ in request_to("sandbox", "sandbox").headers]
    assert names == [b"content-type", b"accept", b"accept-encoding", b"user-agent", b"x-sandbox-account"]
    assert dict(request_to("sandbox", "sandbox").headers)[b"x-sandbox-account"] == b"acct_1"
    # Another provider of that name elsewhere would not be the one inside.
    assert b"x-sandbox-account" not in dict(request_to("sandbox-2", "openai").headers)


def test_no_request_shares_its_headers_with_another() -> None:
    first = request_to("mine", "openai")
    first.headers.append((b"x", b"y"))
    assert (b"x", b"y") not in request_to("mine", "openai").headers


def test_the_headers_of_a_protocol_cross_beside_the_credential() -> None:
    version = (b"anthropic-version", b"2023-06-01")
    assert version in request_to("mine", "openai", own=[version]).headers


def test_a_protocol_may_want_the_credential_in_another_form() -> None:
    upstream = credentials.configured({}, {"GEMINI_API_KEY": "AIza-theirs"})["google"]
    deployment = Deployment(model_id="g", provider_id="google", provider=upstream.row, upstream="g")
    native, chat = (adapter.reach(deployment, upstream, name) for name in ("gemini", "openai_chat"))
    assert (b"x-goog-api-key", b"AIza-theirs") in native.whole
    assert (b"authorization", b"Bearer AIza-theirs") in chat.whole
    assert (native.prefix, chat.prefix) == (b"/v1beta", b"/v1beta/openai")


def test_a_caller_is_answered_in_his_own_protocol_where_the_provider_has_it() -> None:
    upstream = credentials.configured({}, {"OPENAI_API_KEY": "sk-theirs"})["openai"]
    deployment = Deployment(model_id="o", provider_id="openai", provider=upstream.row, upstream="o")
    spoken = {
        asked: adapter.reach(deployment, upstream, asked).face.protocol
        for asked in ("openai_chat", "openai_responses", "anthropic_messages")
    }
    assert spoken == {
        "openai_chat": "openai_chat",
        "openai_responses": "openai_responses",
        "anthropic_messages": "openai_chat",
    }
