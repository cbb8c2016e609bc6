"""What is said once the gateway serves: its address; on the first start the first key and an admin link, once."""

from __future__ import annotations

import asyncio
import threading
from urllib.parse import urlsplit

import msgspec

from trunkline import clock
from trunkline.app.serving import Started
from trunkline.cli import gateway, output, welcome
from trunkline.cli.accounts import link_url
from trunkline.cli.store import open_store
from trunkline.config import Settings
from trunkline.errors import TrunklineError, UpstreamTimeout
from trunkline.observe import Secret
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import TransportOptions
from trunkline.storage.keys import Grant

TRIAL_KEY_LIFE_S = 60.0
ANSWER_S = 10.0


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
                return _ask(settings, url, Secret(trial.key.reveal()))
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
    transport = HttpTransport(TransportOptions(ca_file=settings.server.tls_cert))
    try:
        async with asyncio.timeout(ANSWER_S):
            answer = await gateway.ask(
                transport, gateway.Gateway(url, key), gateway.Question(welcome.MODEL, welcome.PROMPT)
            )
    except TimeoutError:
        raise UpstreamTimeout(f"nothing came within {ANSWER_S:g} s") from None
    finally:
        await transport.close()
    return gateway.text_of(answer) or "(an answer without text)"
