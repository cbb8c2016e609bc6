"""Where a forwarded call goes and what goes with it: its own content-type, and the credential of the provider alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args

import msgspec
import pytest

from trunkline.catalog.models import Deployment
from trunkline.catalog.provider_row import Endpoint
from trunkline.ids import AccountId
from trunkline.providers import adapter, credentials
from trunkline.providers.adapter import Crossing, Reach
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.endpoint_request import JSON, PATHS, Content, endpoint_request
from trunkline.providers.transport import Timers

CROSSING = Crossing(AccountId("acct_1"), [(b"traceparent", b"00-1")], Timers(), streaming=True)


def reached(name: str, **options: object) -> Reach:
    given = {name: ProviderOptions(**options)} if options else {}  # type: ignore[arg-type]  # the fields are real
    upstream = credentials.configured(given, {})[name]
    deployment = Deployment(model_id=f"{name}/m", provider_id=name, provider=upstream.row, upstream="m")
    return adapter.reach(deployment, upstream, "openai_chat")


TARGETS: list[tuple[Reach, Endpoint, bytes, bytes]] = [
    # who is reached, what is asked, the host and the target
    (reached("openai", api_key="k"), "embeddings", b"api.openai.com", b"/v1/embeddings"),
    (reached("openai", api_key="k"), "image_edits", b"api.openai.com", b"/v1/images/edits"),
    (reached("google", api_key="k"), "embeddings", b"generativelanguage.googleapis.com", b"/v1beta/openai/embeddings"),
    (reached("sandbox"), "rerank", b"sandbox", b"/rerank"),
    (reached("cohere", api_key="k"), "embeddings", b"api.cohere.com", b"/compatibility/v1/embeddings"),
    (reached("cohere", api_key="k"), "rerank", b"api.cohere.com", b"/v2/rerank"),
    (
        reached("azure", api_key="k", base_url="https://a.openai.azure.com/openai/v1"),
        "transcriptions",
        b"a.openai.azure.com",
        b"/openai/v1/audio/transcriptions",
    ),
    (
        reached("azure", api_key="k", base_url="https://a.openai.azure.com", api_version="2024-10-21"),
        "speech",
        b"a.openai.azure.com",
        b"/openai/deployments/m/audio/speech?api-version=2024-10-21",
    ),
]


@pytest.mark.parametrize(("reach", "endpoint", "host", "target"), TARGETS)
def test_where_it_goes(reach: Reach, endpoint: Endpoint, host: bytes, target: bytes) -> None:
    request = endpoint_request(reach, endpoint, Content(JSON, b"{}"), CROSSING)
    assert (request.method, request.origin.host.encode(), request.target) == (b"POST", host, target)
    assert (request.body, request.stream_body, request.streaming) == (b"{}", None, True)


def test_every_endpoint_has_its_path() -> None:
    assert set(PATHS) == set(get_args(Endpoint))


def test_what_goes_with_it() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    body = pieces()
    content = Content(b"multipart/form-data; boundary=b", pieces=body, length=7)
    request = endpoint_request(reached("openai", api_key="sk-of-ours"), "transcriptions", content, CROSSING)
    headers = dict(request.headers)
    assert len(headers) == len(request.headers)
    assert headers.pop(b"user-agent").startswith(b"trunkline/")
    assert headers == {
        b"content-type": b"multipart/form-data; boundary=b",
        b"accept": b"*/*",
        b"accept-encoding": b"identity",
        b"authorization": b"Bearer sk-of-ours",
        b"traceparent": b"00-1",
    }
    assert (request.stream_body, request.stream_length, request.body) == (body, 7, b"")


def test_the_account_is_told_to_the_sandbox_alone() -> None:
    for name, told in (("sandbox", True), ("openai", False)):
        reach = reached(name, **({} if name == "sandbox" else {"api_key": "k"}))
        headers = dict(endpoint_request(reach, "images", Content(JSON), CROSSING).headers)
        assert (headers.get(b"x-sandbox-account") == b"acct_1") is told


def test_a_provider_that_wants_no_proxy_gets_none() -> None:
    reach = reached("openai", api_key="k")
    assert endpoint_request(reach, "images", Content(JSON), CROSSING).proxy
    direct = msgspec.structs.replace(reach, upstream=msgspec.structs.replace(reach.upstream, use_proxy=False))
    assert not endpoint_request(direct, "images", Content(JSON), CROSSING).proxy
