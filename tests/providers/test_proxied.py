"""What only the way through a proxy has: CONNECT, its refusals, and a proxy that is not there."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from trunkline.errors import UpstreamError, UpstreamFailed, UpstreamTimeout
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import Origin, ProxySettings, Timers, TransportOptions, UpstreamRequest

if TYPE_CHECKING:
    from tests.providers.conftest import Authority, ConnectProxy, Loopback

Call = Callable[..., UpstreamRequest]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def through(authority: Authority | None, port: int, credential: str = "") -> HttpTransport:
    url = f"http://{credential}127.0.0.1:{port}"
    ca_file = str(authority.root_file) if authority is not None else None
    return HttpTransport(TransportOptions(ca_file=ca_file), ProxySettings(url=url, no_proxy="localhost"))


async def failure(transport: HttpTransport, request: UpstreamRequest) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await transport.send(request)
    await transport.close()
    assert "pass-word" not in caught.value.message
    return caught.value


async def test_the_tunnel_is_asked_for_by_name_with_the_proxys_credential_alone(
    loopback: Loopback, authority: Authority, proxy: ConnectProxy, call: Call
) -> None:
    transport = through(authority, proxy.port, "user:pass-word@")
    origin = await loopback.serve(loopback.answering(OK), authority.server("up.test"), "up.test")
    response = await transport.send(call(origin, proxy=True))
    assert await response.read(10) == b"ok"
    assert len(proxy.asked) == 1
    asked = proxy.asked[0]
    assert asked.startswith(b"CONNECT up.test:%d HTTP/1.1\r\n" % origin.port)
    assert b"Basic " + base64.b64encode(b"user:pass-word") in asked
    assert b"sk-secret-of-ours" not in asked
    assert b"sk-secret-of-ours" in loopback.heads[0]
    assert b"roxy-" not in loopback.heads[0]
    await transport.close()


async def test_no_proxy_and_a_provider_that_wants_none_go_directly(
    loopback: Loopback, authority: Authority, proxy: ConnectProxy, call: Call
) -> None:
    transport = through(authority, proxy.port)
    near = await loopback.serve(loopback.answering(OK), authority.server("localhost"), "localhost")
    far = await loopback.serve(loopback.answering(OK), authority.server("127.0.0.1"), "127.0.0.1")
    plain = await loopback.serve(loopback.answering(OK))
    for request in (call(near, proxy=True), call(far, proxy=False), call(plain, proxy=True)):
        assert await (await transport.send(request)).read(10) == b"ok"
    assert proxy.asked == []
    await transport.close()


@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"403 Forbidden", b"502 Bad Gateway"])
async def test_a_proxy_that_refuses(proxy: ConnectProxy, call: Call, authority: Authority, status: bytes) -> None:
    proxy.status = status
    error = await failure(
        through(authority, proxy.port, "user:pass-word@"), call(Origin("https", "up.test", 443), proxy=True)
    )
    assert type(error) is UpstreamFailed
    assert error.message == f"The proxy refused the way to up.test:443 ({status[:3].decode()})."


async def test_a_proxy_that_is_not_there(call: Call, authority: Authority) -> None:
    error = await failure(through(authority, 1, "user:pass-word@"), call(Origin("https", "up.test", 443), proxy=True))
    assert type(error) is UpstreamFailed
    assert error.message.startswith("The proxy on the way to up.test:443 cannot be reached: ")


async def test_a_proxy_that_says_nothing(loopback: Loopback, call: Call, authority: Authority) -> None:
    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()

    port = (await loopback.serve(mute)).port
    request = call(Origin("https", "up.test", 443), proxy=True, timers=Timers(connect_s=0.1))
    error = await failure(through(authority, port), request)
    assert type(error) is UpstreamTimeout
    assert error.message == "No connection to up.test:443 within connect_s = 0.1 s."


@pytest.mark.parametrize(
    ("name", "reason"),
    [("other.test", "Hostname mismatch"), ("up.test", "unable to get local issuer certificate")],
)
async def test_the_certificate_behind_the_tunnel_is_verified(
    loopback: Loopback, authority: Authority, proxy: ConnectProxy, name: str, reason: str
) -> None:
    origin = await loopback.serve(loopback.answering(OK), authority.server(name), "up.test")
    request = UpstreamRequest(origin=origin, target=b"/", headers=[], timers=Timers(), proxy=True)
    error = await failure(through(authority if name == "other.test" else None, proxy.port), request)
    assert type(error) is UpstreamFailed
    assert error.message.startswith(f"The certificate of up.test:{origin.port} is not accepted: ")
    assert reason in error.message
    assert loopback.heads == []
