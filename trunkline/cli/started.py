"""What is said once the gateway serves: its address; on the first start the first key and an admin link, once."""

from __future__ import annotations

import asyncio
import threading
from urllib.parse import urlsplit

import msgspec

from trunkline import clock
from trunkline.app import Started
from trunkline.cli import output, welcome
from trunkline.cli.accounts import link_url
from trunkline.cli.store import open_store
from trunkline.config import Settings
from trunkline.errors import TrunklineError
from trunkline.observe import Secret
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import Origin, Timers, TransportOptions, UpstreamRequest
from trunkline.storage.keys import Grant

TRIAL_KEY_LIFE_S = 60.0
ANSWER_LIMIT_BYTES = 65_536


def tell(settings: Settings, started: Started, *, greet: bool) -> None:
    """Called on the server's loop, so what waits for an answer goes to a thread. `greet`: try a call first."""
    if greet:
        threading.Thread(target=_greet, args=(settings, started), name="welcome", daemon=True).start()
        return
    output.say(f"Trunkline serves {started.url}")
    if started.first_key is not None and started.admin_token is not None:
        output.say(f"First key, not shown again: {started.first_key.reveal()}")
        output.say(f"Admin link, once, within an hour: {_link(settings, started)}")


def _greet(settings: Settings, started: Started) -> None:
    if started.first_key is None:
        answer = _with_trial_key(settings, started.url)
        output.say(welcome.later_start(started.url, answer, str(settings.data_dir)))
    else:
        answer = _ask(settings, started.url, started.first_key)
        output.say(welcome.first_start(started.url, answer, _link(settings, started), started.first_key.reveal()))


def _link(settings: Settings, started: Started) -> str:
    assert started.admin_token is not None
    port = urlsplit(started.url).port
    server = settings.server if port is None else msgspec.structs.replace(settings.server, port=port)
    return link_url(server, started.admin_token.reveal())


def _with_trial_key(settings: Settings, url: str) -> str:
    """Keys cannot be shown again, so a key of a minute's life asks; it is revoked right after."""
    try:
        store = open_store(settings)
        try:
            grant = Grant(name="welcome", models=(welcome.MODEL,), expires_at=clock.now_s() + TRIAL_KEY_LIFE_S)
            trial = store.keys.create(grant)
            try:
                return _ask(settings, url, trial.key)
            finally:
                store.keys.revoke(trial.id)
        finally:
            store.close()
    except TrunklineError as error:
        return f"(not asked: {error.message})"


def _ask(settings: Settings, url: str, key: Secret) -> str:
    """The answer to one call over the network, as any caller would make it; or why there is none, in brackets."""
    try:
        return asyncio.run(_call(settings, url, key))
    except TrunklineError as error:
        return f"(no answer: {error.message})"


async def _call(settings: Settings, url: str, key: Secret) -> str:
    parts = urlsplit(url)
    transport = HttpTransport(TransportOptions(ca_file=settings.server.tls_cert))
    asked = {"model": welcome.MODEL, "messages": [{"role": "user", "content": welcome.PROMPT}]}
    request = UpstreamRequest(
        origin=Origin(parts.scheme, parts.hostname or "127.0.0.1", parts.port or 443),
        target=b"/v1/chat/completions",
        headers=[
            (b"content-type", b"application/json"),
            (b"authorization", b"Bearer " + key.reveal().encode()),
        ],
        body=msgspec.json.encode(asked),
        timers=Timers(connect_s=5, total_s=10),
    )
    try:
        response = await transport.send(request)
        body = await response.read(ANSWER_LIMIT_BYTES)
    finally:
        await transport.close()
    return _text(body)


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


def _text(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Completion).choices[0].message.content
    except (msgspec.DecodeError, IndexError):
        return f"(not a completion: {body[:200]!r})"
