"""`trunkline serve`"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from trunkline import config as settings_file
from trunkline.cli import gateway, output, welcome
from trunkline.cli.gateway import Gateway, Question
from trunkline.cli.store import ConfigFile, DataDir
from trunkline.config import Settings
from trunkline.errors import TrunklineError
from trunkline.observe import Secret
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import TransportOptions


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve the port.")] = None,
    greet: Annotated[bool, typer.Option("--welcome", help="When ready, try a call and say what to do next.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Start the gateway and serve until Ctrl-C."""
    given = {"server.host": host, "server.port": port, "server.workers": workers}
    with output.refusals():
        settings = settings_file.load(
            config, data_dir, overrides={name: value for name, value in given.items() if value is not None}
        )
        from trunkline import app  # noqa: PLC0415 - settings that are wrong are told without loading the server

        greeter = Greeter(settings, greet=greet, say=output.say)
        code = app.serve(settings, lambda started: greeter.start(started.url, started.first_key, started.admin_token))
    raise typer.Exit(code)


class Greeter:
    """Tells whoever started the gateway what they need to use it: on the first start always, later when asked to."""

    def __init__(self, settings: Settings, *, greet: bool, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._greet = greet
        self._say = say
        self._task: asyncio.Task[None] | None = None

    def start(self, url: str, first_key: Secret | None, admin_token: Secret | None) -> None:
        """On the loop that serves, once calls are answered."""
        if first_key is not None and admin_token is not None:
            first = welcome.FirstStart(url, first_key.reveal(), admin_token.reveal())
            # The loop keeps no reference of its own.
            self._task = asyncio.get_running_loop().create_task(self._greet_first(first))
        elif self._greet:
            self._say(welcome.later_start(url, command_of(self._settings, Path(sys.argv[0]))))

    async def _greet_first(self, first: welcome.FirstStart) -> None:
        answer = await self._try(Gateway(first.url, Secret(first.key))) if self._greet else None
        self._say(welcome.first_start(first, answer))

    async def _try(self, target: Gateway) -> str:
        """One call over the network, as a client makes it. A failure is told in place of the answer."""
        transport = HttpTransport(TransportOptions(ca_file=self._settings.server.tls_cert))
        try:
            return gateway.text_of(await gateway.ask(transport, target, Question(welcome.MODEL, welcome.PROMPT)))
        except TrunklineError as error:
            return f"(no answer) {error.message}"
        finally:
            await transport.close()


def command_of(settings: Settings, program: Path) -> Callable[[str], list[str]]:
    """Makes the words of a command on this installation: `keys create` -> `.venv/bin/trunkline keys create ...`."""
    words = [str(program) if program.name == "trunkline" else "trunkline"]
    where: list[str] = []
    if settings.path is not None and settings.path != Path.cwd() / settings_file.DEFAULT_FILE:
        where += ["--config", str(settings.path)]
    if settings.data_dir != Path.cwd() / settings_file.DEFAULT_DATA_DIR:
        where += ["--data-dir", str(settings.data_dir)]
    return lambda command: [*words, *command.split(), *where]
