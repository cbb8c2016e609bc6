"""The server: uvicorn with a hardened httptools protocol, graceful stop, TLS."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`"""

    host: Annotated[str, Meta(description="Address to listen on; beyond loopback demands TLS or behind_proxy.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on.")] = 8080
    workers: Annotated[int, Meta(ge=1, le=256, description="Processes that serve the port.")] = 1
    tls_cert: Annotated[str | None, Meta(description="PEM file with the certificate chain; set with tls_key.")] = None
    tls_key: Annotated[str | None, Meta(description="PEM file with the private key.")] = None
    behind_proxy: Annotated[
        bool, Meta(description="A reverse proxy in trusted_proxies ends TLS; loopback then has no privilege.")
    ] = False
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="Addresses or networks whose forwarding headers count.")
    ] = ()
    cors_origins: Annotated[tuple[str, ...], Meta(description="Web origins that browsers may call from.")] = ()
    header_prefix: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]*$", description="Prefix of our own headers.")] = (
        "x-trunkline"
    )
    header_aliases: Annotated[
        tuple[str, ...], Meta(description="Further prefixes that repeat our response headers.")
    ] = ()
    body_limit_bytes: Annotated[int, Meta(ge=1024, description="The largest request body; a larger one is 413.")] = (
        33_554_432
    )
    header_limit_bytes: Annotated[int, Meta(ge=1024, description="The largest request head in total.")] = 65_536
    request_line_limit_bytes: Annotated[int, Meta(ge=256, description="The longest request line.")] = 8_192
    header_timeout_s: Annotated[float, Meta(gt=0, description="To send the whole request head.")] = 10.0
    body_rate_bytes_s: Annotated[
        int, Meta(ge=0, description="The slowest body that is waited for; 0 waits for any.")
    ] = 1_024
    write_timeout_s: Annotated[
        float, Meta(gt=0, description="A client that reads nothing of its answer is cut off.")
    ] = 60.0
    keep_alive_s: Annotated[float, Meta(gt=0, description="An unused connection is closed after this long.")] = 75.0
    drain_s: Annotated[float, Meta(ge=0, description="To let calls in flight end when stopping.")] = 30.0
    max_in_flight: Annotated[int, Meta(ge=1, description="Calls at a time; more get 503 with retry-after.")] = 10_000
