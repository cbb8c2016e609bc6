"""Local engines, found on their usual ports.

A port counts only if the program behind it says by its own answer which engine it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from trunkline.catalog.providers import PROVIDERS
from trunkline.errors import Unavailable, UpstreamError
from trunkline.observe import logger
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.transport import Origin, Timers, Transport, UpstreamRequest

HOST: Final = "127.0.0.1"
PROBE_S: Final = 0.3
LONGEST_ANSWER: Final = 1 << 20

log = logger("discovery")


class DiscoveryOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[discovery]`"""

    local: Annotated[bool, Meta(description="Look for local engines on their usual ports after the start.")] = True


class _OpenAIModel(msgspec.Struct):
    owned_by: str


class _OpenAIModels(msgspec.Struct):
    data: Annotated[list[_OpenAIModel], Meta(min_length=1)]


class _LMStudioModel(msgspec.Struct):
    key: str
    loaded_instances: list[msgspec.Raw]


class _LMStudioModels(msgspec.Struct):
    models: Annotated[list[_LMStudioModel], Meta(min_length=1)]


class _LMStudioOldModel(msgspec.Struct):
    id: str
    compatibility_type: str


class _LMStudioOldModels(msgspec.Struct):
    data: Annotated[list[_LMStudioOldModel], Meta(min_length=1)]


def _owned_by(owner: str) -> Callable[[bytes], bool]:
    def recognise(body: bytes) -> bool:
        return all(model.owned_by == owner for model in msgspec.json.decode(body, type=_OpenAIModels).data)

    return recognise


def _shaped(shape: type[msgspec.Struct]) -> Callable[[bytes], bool]:
    def recognise(body: bytes) -> bool:
        msgspec.json.decode(body, type=shape)
        return True

    return recognise


SIGNS: Final[Mapping[str, tuple[tuple[bytes, Callable[[bytes], bool]], ...]]] = MappingProxyType(
    {
        # server/routes.go answers so on /; llama.cpp imitates its /api/tags.
        "ollama": ((b"/", lambda body: body.strip() == b"Ollama is running"),),
        # https://lmstudio.ai/docs/developer/rest/list, and before LM Studio 0.4 /api/v0
        "lmstudio": ((b"/api/v1/models", _shaped(_LMStudioModels)), (b"/api/v0/models", _shaped(_LMStudioOldModels))),
        # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html: a model card is owned by "vllm"
        "vllm": ((b"/v1/models", _owned_by("vllm")),),
        # tools/server/server-context.cpp: a model is owned by "llamacpp"
        "llamacpp": ((b"/v1/models", _owned_by("llamacpp")),),
    }
)
"""Provider id -> where to ask, and how its answer is known. The first that is known is enough."""

USUAL_PORTS: Final[Mapping[str, int]] = MappingProxyType(
    {kind: port for kind in SIGNS if (port := PROVIDERS[kind].local_port) is not None}
)


async def find_engines(
    transport: Transport,
    listening: Collection[tuple[str, int]] = (),
    ports: Mapping[str, int] = USUAL_PORTS,
) -> dict[str, ProviderOptions]:
    """Provider id -> how to reach the engine that runs here. Takes PROBE_S at most and never raises for what it meets.

    `listening`: the addresses this process serves, which are not asked.
    """
    ours = {port for host, port in listening if _reaches_loopback(host)}
    wanted = {kind: port for kind, port in ports.items() if port not in ours}
    answers = await asyncio.gather(*(_is_there(transport, kind, port) for kind, port in wanted.items()))
    found = {
        kind: ProviderOptions(kind=kind, base_url=f"http://{HOST}:{port}/v1")
        for (kind, port), there in zip(wanted.items(), answers, strict=True)
        if there
    }
    for kind, options in found.items():
        log.info("engine_found", provider=kind, base_url=options.base_url)
    return found


def _reaches_loopback(host: str) -> bool:
    return host.strip("[]") in ("", "0.0.0.0", "::", "::1", "localhost") or host.startswith("127.")


async def _is_there(transport: Transport, kind: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_S):
            for target, recognise in SIGNS[kind]:
                if await _shows(transport, port, target, recognise):
                    return True
    except (UpstreamError, Unavailable, TimeoutError):
        return False
    return False


async def _shows(transport: Transport, port: int, target: bytes, recognise: Callable[[bytes], bool]) -> bool:
    request = UpstreamRequest(
        origin=Origin("http", HOST, port),
        method=b"GET",
        target=target,
        headers=[(b"accept", b"*/*"), (b"accept-encoding", b"identity"), (b"user-agent", b"trunkline")],
        timers=Timers(connect_s=PROBE_S, first_byte_s=PROBE_S, idle_s=PROBE_S, total_s=PROBE_S),
    )
    response = await transport.send(request)
    if response.status != 200:
        response.close()
        return False
    body = await response.read(LONGEST_ANSWER)
    try:
        return recognise(body)
    except (msgspec.DecodeError, RecursionError):
        return False
