"""`trunkline serve`"""

from __future__ import annotations

from typing import Annotated

import typer

from trunkline import config as settings_file
from trunkline.cli import output
from trunkline.cli.store import ConfigFile, DataDir


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve the port.")] = None,
    welcome: Annotated[bool, typer.Option("--welcome", help="When ready, try a call and say what to do next.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Start the gateway and serve until Ctrl-C."""
    given = {"server.host": host, "server.port": port, "server.workers": workers}
    with output.refusals():
        settings = settings_file.load(
            config, data_dir, overrides={name: value for name, value in given.items() if value is not None}
        )
        # Settings that are wrong are told without loading the server.
        from trunkline.app import serving  # noqa: PLC0415
        from trunkline.cli import started  # noqa: PLC0415

        code = serving.serve(settings, lambda facts: started.tell(settings, facts, greet=welcome))
    raise typer.Exit(code)
