"""`trunkline call`"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from trunkline import config as settings_file
from trunkline.cli import gateway, output
from trunkline.cli.gateway import Gateway, Question
from trunkline.cli.store import ConfigFile, DataDir, Json
from trunkline.config import Settings
from trunkline.errors import Unauthenticated
from trunkline.observe import Secret
from trunkline.providers.pool import HttpTransport

Url = Annotated[
    str | None,
    typer.Option(envvar="TRUNKLINE_URL", help="The gateway, without /v1; default: where these settings listen."),
]
Key = Annotated[str | None, typer.Option(envvar="TRUNKLINE_KEY", help="A key of the gateway.")]


def call(
    model: Annotated[str, typer.Argument(help="A model or an alias, such as sandbox/echo.")],
    prompt: Annotated[str, typer.Argument(help="What to ask; - reads standard input.")],
    stream: Annotated[bool, typer.Option("--stream", help="Print the answer as it comes.")] = False,
    key: Key = None,
    url: Url = None,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Ask a model through the running gateway and print its answer."""
    if json and stream:
        raise typer.BadParameter("--json prints the whole answer, --stream its text as it comes: choose one.")
    with output.refusals():
        settings = settings_file.load(config, data_dir)
        target = Gateway(url.rstrip("/") if url else gateway.url_of(settings.server), _key(key, settings, data_dir))
        question = Question(model, sys.stdin.read() if prompt == "-" else prompt)
        if stream:
            asyncio.run(_print_stream(settings, target, question))
            return
        answer = asyncio.run(_ask(settings, target, question))
    if json:
        output.say_json(msgspec.Raw(answer))
    else:
        output.say(gateway.text_of(answer))


def _key(key: str | None, settings: Settings, data_dir: Path | None) -> Secret:
    if key is None:
        where = "" if data_dir is None else f" --data-dir {settings.data_dir}"
        raise Unauthenticated(
            f"A call needs a key: give --key or set TRUNKLINE_KEY. `trunkline keys create{where}` makes one."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Unauthenticated("A key is printable ASCII without spaces; this one has other characters.")
    return Secret(key)


def _transport(settings: Settings) -> HttpTransport:
    return HttpTransport(settings.transport)


async def _ask(settings: Settings, target: Gateway, question: Question) -> bytes:
    transport = _transport(settings)
    try:
        return await gateway.ask(transport, target, question)
    finally:
        await transport.close()


async def _print_stream(settings: Settings, target: Gateway, question: Question) -> None:
    transport = _transport(settings)
    try:
        async for text in gateway.stream(transport, target, question):
            print(text, end="", flush=True)
        print(flush=True)
    finally:
        await transport.close()
