"""`trunkline doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import stat
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import typer

from trunkline import clock
from trunkline import config as settings_file
from trunkline.catalog.catalog import load_catalog
from trunkline.catalog.engines import SANDBOXES
from trunkline.cli import gateway, output
from trunkline.cli.store import ConfigFile, DataDir, Json, open_store
from trunkline.config import Settings
from trunkline.errors import NotFound, SettingsInvalid, TrunklineError
from trunkline.providers.base_url import split_base_url
from trunkline.providers.credentials import Upstream, configured
from trunkline.providers.discovery import find_engines
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import Headers, Timers, Transport, UpstreamRequest
from trunkline.routing.table import Available, RouteTable
from trunkline.storage.database import open_database

RELEASED_AT: Final = 1_795_132_800
"""2026-11-20: a clock that shows an earlier day is wrong."""
CLOCK_SLACK_S: Final = 60.0
ONLINE: Final = Timers(connect_s=5, first_byte_s=10, idle_s=10, total_s=10)
LONGEST_ANSWER: Final = 4 << 20


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at. `do` says what helps where it is not well."""

    check: str
    state: Literal["ok", "warning", "failed"] = "ok"
    says: str
    do: str | None = None


def doctor(
    online: Annotated[bool, typer.Option("--online", help="Also ask every provider whether it takes its key.")] = False,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Check settings, database, clock, keys and providers, and say what to do."""
    findings = list(examine(config, data_dir, online=online))
    ailing = any(finding.state == "failed" for finding in findings)
    if json:
        output.say_json({"ok": not ailing, "checks": findings})
    else:
        for finding in findings:
            output.say(f"{finding.state:<8} {finding.check}: {finding.says}")
            if finding.do is not None:
                output.say(f"{'':<8} -> {finding.do}")
    if ailing:
        raise typer.Exit(1)


def examine(config: Path | None, data_dir: Path | None, *, online: bool) -> Iterator[Finding]:
    """All findings. Settings that cannot be read leave nothing else to look at."""
    try:
        settings = settings_file.load(config, data_dir)
    except SettingsInvalid as error:
        yield Finding(check="settings", state="failed", says=error.message, do="mend it, then run this again")
        return
    yield Finding(check="settings", says=str(settings.path) if settings.path else "no file, so defaults")
    for variable, meant in settings_file.misspelled_variables():
        yield Finding(
            check="environment", state="warning", says=f"{variable} is not read", do=f"did you mean {meant}? Rename it"
        )
    yield from check_data_dir(settings.data_dir)
    yield from check_database(settings)
    yield from check_clock(settings)
    try:
        upstreams = configured(settings.providers, settings.environment_keys)
    except SettingsInvalid as error:
        yield Finding(check="providers", state="failed", says=error.message, do="mend it, then run this again")
        return
    yield from check_providers(upstreams)
    yield from check_routes(settings, upstreams)
    yield from asyncio.run(_check_network(settings, upstreams, online=online))


def check_data_dir(data_dir: Path) -> Iterator[Finding]:
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            check="data directory",
            state="failed",
            says=f"{data_dir} cannot be written by this user",
            do="give it to the user who runs trunkline, or choose another with --data-dir",
        )
    elif stat.S_IMODE(data_dir.stat().st_mode) & 0o077:
        yield Finding(
            check="data directory",
            state="warning",
            says=f"{data_dir} is open to other users of this machine",
            do=f"chmod 700 {data_dir}",
        )
    else:
        yield Finding(check="data directory", says=str(data_dir))


def check_database(settings: Settings) -> Iterator[Finding]:
    try:
        path = open_database(settings.database, settings.data_dir).path
        if not path.exists():
            yield Finding(check="database", says=f"{path} is made at the first start")
            return
        store = open_store(settings)
        try:
            with store.database.writing():
                pass  # holding the write lock is the proof
            live = sum(key.state == "active" for key in store.keys.list(None))
        finally:
            store.close()
    except TrunklineError as error:
        yield Finding(
            check="database", state="failed", says=error.message, do="look at [database] url and at the file's owner"
        )
        return
    yield Finding(check="database", says=f"{path} can be read and written")
    if live:
        yield Finding(check="keys", says=f"{live} can be used")
    else:
        yield Finding(
            check="keys", state="warning", says="none can be used, so nobody can call", do="trunkline keys create"
        )


def check_clock(settings: Settings) -> Iterator[Finding]:
    """Keys end, and links and budgets begin, by this clock."""
    now_s = clock.now_s()
    shown = dt.datetime.fromtimestamp(now_s, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    files = [settings.data_dir / name for name in ("trunkline.db", "trunkline.db-wal", "pepper")]
    written_s = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    if now_s < max(RELEASED_AT, written_s - CLOCK_SLACK_S):
        yield Finding(
            check="clock",
            state="failed",
            says=f"it shows {shown}, which is in the past of this installation",
            do="set the system's clock; NTP keeps it right",
        )
    else:
        yield Finding(check="clock", says=shown)


def check_providers(upstreams: dict[str, Upstream]) -> Iterator[Finding]:
    for name, upstream in upstreams.items():
        if upstream.row in SANDBOXES:
            continue
        says = f"{upstream.origin.scheme}://{upstream.origin.host}, {_credential(upstream)}"
        yield Finding(check=f"provider {name}", says=says)
    if all(upstream.row in SANDBOXES for upstream in upstreams.values()):
        yield Finding(
            check="providers",
            state="warning",
            says="only the sandbox, which is no language model",
            do="set a key such as OPENAI_API_KEY in the environment, or [providers.NAME] in trunkline.toml",
        )


def _credential(upstream: Upstream) -> str:
    if upstream.secret is not None:
        return f"its key is set (fingerprint {upstream.secret.fingerprint()})"
    return "requests are signed" if upstream.identity is not None else "without a key"


def check_routes(settings: Settings, upstreams: dict[str, Upstream]) -> Iterator[Finding]:
    """Aliases that lead nowhere, and prices that cannot be."""
    available = Available(
        providers={name: upstream.row for name, upstream in upstreams.items()},
        aliases=settings.models,
        prices=settings.prices,
    )
    try:
        routes = RouteTable(load_catalog(dt.datetime.fromtimestamp(clock.now_s(), dt.UTC).date()), available)
    except SettingsInvalid as error:
        yield Finding(check="routes", state="failed", says=error.message, do="mend it, then run this again")
        return
    for alias in settings.models:
        try:
            routes.resolve(alias)
        except NotFound as error:
            yield Finding(check=f"alias {alias}", state="failed", says=error.message, do=f'mend [models."{alias}"]')
    yield Finding(check="routes", says=f"{sum(1 for _ in routes.listing())} models and aliases can be called")


async def _check_network(settings: Settings, upstreams: dict[str, Upstream], *, online: bool) -> list[Finding]:
    transport = HttpTransport(settings.transport, settings.proxy)
    try:
        findings = [finding async for finding in check_here(settings, transport)]
        if online:
            asked = (ask(transport, upstream) for upstream in upstreams.values() if upstream.row not in SANDBOXES)
            for answers in await asyncio.gather(*asked):
                findings += answers
    except SettingsInvalid as error:
        findings = [Finding(check="transport", state="failed", says=error.message, do="mend it, then run this again")]
    finally:
        await transport.close()
    return findings


async def check_here(settings: Settings, transport: Transport) -> AsyncIterator[Finding]:
    """The gateway itself and local engines, which may all be off without anything being wrong."""
    url = gateway.url_of(settings.server)
    try:
        origin, _ = split_base_url(url, "server")
        response = await transport.send(
            UpstreamRequest(origin=origin, method=b"GET", target=b"/readyz", headers=_headers(()), timers=ONLINE)
        )
        body = await response.read(LONGEST_ANSWER)
    except TrunklineError:
        yield Finding(check="gateway", says=f"nothing answers at {url}: it is not running")
    else:
        if b'"ready"' in body:
            yield Finding(check="gateway", says=f"it runs at {url} and is ready")
        else:
            yield Finding(
                check="gateway",
                state="warning",
                says=f"what answers at {url} is not ready, or another program",
                do="look at its log, or choose another [server] port",
            )
    if settings.discovery.local:
        found = await find_engines(transport, [(settings.server.host, settings.server.port)])
        names = ", ".join(f"{kind} at {options.base_url}" for kind, options in found.items())
        yield Finding(check="local engines", says=names or "none answers on its usual port")


async def ask(transport: Transport, upstream: Upstream) -> list[Finding]:
    """Whether a provider answers, takes its key, and agrees about the time."""
    check = f"provider {upstream.provider_id}, asked"
    request = UpstreamRequest(
        origin=upstream.origin,
        method=b"GET",
        target=upstream.path_prefix + b"/models",
        headers=_headers(upstream.headers),
        timers=ONLINE,
        proxy=upstream.use_proxy,
    )
    try:
        response = await transport.send(request)
    except TrunklineError as error:
        return [
            Finding(check=check, state="failed", says=error.message, do="look at base_url, the network and HTTPS_PROXY")
        ]
    response.close()
    findings = [Finding(check=check, says=f"it answers ({response.status})")]
    # Who signs his requests is not known by this one, which is not signed.
    if response.status in (401, 403) and upstream.identity is None:
        findings = [
            Finding(
                check=check, state="failed", says=f"it refuses the key ({response.status})", do="make another key there"
            )
        ]
    skew_s = _skew_s(response.headers)
    if skew_s is not None and abs(skew_s) > CLOCK_SLACK_S:
        findings.append(
            Finding(
                check="clock",
                state="warning",
                says=f"it differs from that of {upstream.origin.host} by {skew_s:.0f} s",
                do="set the system's clock; NTP keeps it right",
            )
        )
    return findings


def _headers(credential: tuple[tuple[bytes, bytes], ...]) -> Headers:
    return [(b"accept", b"*/*"), (b"accept-encoding", b"identity"), (b"user-agent", b"trunkline-cli"), *credential]


def _skew_s(headers: Headers) -> float | None:
    """Our clock less theirs; None when they say nothing that can be read."""
    for name, value in headers:
        if name == b"date":
            try:
                return clock.now_s() - parsedate_to_datetime(value.decode("latin-1")).timestamp()
            except ValueError:
                return None
    return None
