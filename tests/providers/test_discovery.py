"""An engine is found by what it says of itself, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest

from trunkline.catalog.providers import PROVIDERS
from trunkline.providers import discovery
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.discovery import SIGNS, USUAL_PORTS, find_engines
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import TransportOptions

Serve = Callable[[Mapping[str, bytes]], Awaitable[int]]

OLLAMA = {"/": b"Ollama is running"}
LM_STUDIO = {"/api/v1/models": b'{"models":[{"type":"llm","publisher":"x","key":"gemma-3","loaded_instances":[]}]}'}
LM_STUDIO_OLD = {
    "/api/v0/models": b'{"object":"list","data":[{"id":"qwen","object":"model","compatibility_type":"mlx","arch":"q"}]}'
}
VLLM = {"/v1/models": b'{"object":"list","data":[{"id":"m","object":"model","owned_by":"vllm","root":"m"}]}'}
LLAMACPP = {
    "/v1/models": b'{"models":[],"object":"list","data":[{"id":"m.gguf","object":"model","owned_by":"llamacpp"}]}',
    "/api/tags": b'{"models":[{"name":"m","digest":""}]}',
}
OTHERS = {
    "/": b"<html>a shop</html>",
    "/v1/models": b'{"object":"list","data":[{"id":"gpt","object":"model","owned_by":"openai"}]}',
    "/api/v1/models": b'{"models":[{"name":"T"}]}',
    "/api/v0/models": b'{"object":"list","data":[]}',
    "/api/version": b'{"version":"1.0"}',
}
ENGINES = [
    ("ollama", OLLAMA),
    ("lmstudio", LM_STUDIO),
    ("lmstudio", LM_STUDIO_OLD),
    ("vllm", VLLM),
    ("llamacpp", LLAMACPP),
]


@pytest.fixture
async def asked() -> list[str]:
    return []


@pytest.fixture
async def serve(asked: list[str]) -> AsyncIterator[Serve]:
    """Programs on loopback that answer some paths, and 404 elsewhere. None as an answer is silence."""
    servers: list[asyncio.Server] = []

    async def start(answers: Mapping[str, bytes]) -> int:
        async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    path = head.split(b" ")[1].decode()
                    asked.append(path)
                    body = answers.get(path)
                    status = b"404 Not Found" if body is None else b"200 OK"
                    writer.write(
                        b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body or b""), body or b"")
                    )
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(program, "127.0.0.1", 0)
        servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport(TransportOptions())
    yield made
    await made.close()


@pytest.mark.parametrize(("kind", "answers"), ENGINES)
async def test_an_engine_is_found_and_can_be_routed_to(
    kind: str, answers: Mapping[str, bytes], serve: Serve, transport: HttpTransport
) -> None:
    port = await serve(answers)
    found = await find_engines(transport, ports={kind: port})
    assert found == {kind: ProviderOptions(kind=kind, base_url=f"http://127.0.0.1:{port}/v1")}


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        (kind, answers)
        for kind in SIGNS
        for answers in (OTHERS, {}, *(answers for _, answers in ENGINES))
        if (kind, answers) not in ENGINES
    ],
)
async def test_another_program_on_its_port_is_not_taken_for_it(
    kind: str, answers: Mapping[str, bytes], serve: Serve, transport: HttpTransport
) -> None:
    assert await find_engines(transport, ports={kind: await serve(answers)}) == {}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"data":[]}', b'{"data":[{"owned_by":1}]}', b'{"data":' + b"[" * 100_000, b"\xff"],
)
async def test_rubbish_is_no_engine(body: bytes, serve: Serve, transport: HttpTransport) -> None:
    paths = [target.decode() for signs in SIGNS.values() for target, _ in signs]
    port = await serve(dict.fromkeys(paths, body))
    assert await find_engines(transport, ports=dict.fromkeys(SIGNS, port)) == {}


async def test_all_are_found_at_once(serve: Serve, transport: HttpTransport) -> None:
    ports = {kind: await serve(answers) for kind, answers in ENGINES}
    assert (await find_engines(transport, ports=ports)).keys() == {"ollama", "lmstudio", "vllm", "llamacpp"}


async def test_a_closed_port_is_no_engine(serve: Serve, transport: HttpTransport) -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    assert await find_engines(transport, ports={"vllm": port}) == {}


async def test_a_silent_program_costs_no_more_than_the_limit(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "PROBE_S", 0.05)
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        while await reader.read(65536):
            pass
        writer.close()
        left.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await find_engines(transport, ports=dict.fromkeys(SIGNS, server.sockets[0].getsockname()[1])) == {}
    assert loop.time() - began < 1
    await left.wait()  # the connection was closed, not left behind
    server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1", "[::1]", "localhost", ""])
async def test_an_address_of_our_own_is_never_asked(
    host: str, serve: Serve, transport: HttpTransport, asked: list[str]
) -> None:
    port = await serve(VLLM)
    assert await find_engines(transport, listening=[(host, port)], ports={"vllm": port}) == {}
    assert asked == []


async def test_a_port_of_ours_on_another_address_does_not_matter(serve: Serve, transport: HttpTransport) -> None:
    port = await serve(VLLM)
    assert await find_engines(transport, listening=[("10.0.0.5", port)], ports={"vllm": port})


def test_the_usual_ports_are_those_of_the_registry() -> None:
    assert USUAL_PORTS == {"ollama": 11434, "lmstudio": 1234, "vllm": 8000, "llamacpp": 8080}
    for kind, port in USUAL_PORTS.items():
        assert PROVIDERS[kind].base_url == f"http://127.0.0.1:{port}/v1"
