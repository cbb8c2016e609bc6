"""`trunkline`: the list of its commands. A command's module is imported when that command runs, and not before."""

from __future__ import annotations

import sys
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import trunkline

COMMANDS: Final = MappingProxyType(
    {
        "serve": ("serve", "serve", "Start the gateway and serve until Ctrl-C."),
        "init": ("init", "init", "Write a commented trunkline.toml."),
        "doctor": ("doctor", "doctor", "Check settings, database, clock, keys and providers, and say what to do."),
        "reload": ("reload", "reload", "Have running servers read their settings again."),
        "call": ("call", "call", "Ask a model through the running gateway."),
        "models": ("models", "models", "The models that can be called."),
        "keys": ("keys", "app", "Keys: made, listed, rotated, revoked, taken over."),
        "accounts": ("accounts", "app", "Accounts: who keys belong to."),
        "usage": ("usage", "usage", "What was used and what it cost, by model, key, account, tag or day."),
        "ledger": (
            "ledger",
            "app",
            "The ledger: every attempt and what it cost, as lines; a provider's bill, checked.",
        ),
        "admin-link": ("accounts", "admin_link", "Make a link that opens the console once, within an hour."),
    }
)
"""Command -> its module in trunkline.cli, what it is called there, and its line in the help."""


class Program(TyperGroup):
    """Knows its commands by their lines; loads the one that is asked for."""

    def list_commands(self, _context: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: Any, name: str) -> Any:
        return TyperCommand(name, help=COMMANDS[name][2]) if name in COMMANDS else None

    def resolve_command(self, context: Any, arguments: list[str]) -> tuple[str | None, Any, list[str]]:
        if arguments[0] in COMMANDS:
            return arguments[0], load(arguments[0]), arguments[1:]
        return super().resolve_command(context, arguments)


def load(name: str) -> Any:
    """The command called `name`, ready to run."""
    module, attribute, _ = COMMANDS[name]
    target = getattr(import_module(f"trunkline.cli.{module}"), attribute)
    if not isinstance(target, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(target)
        target = single
    target.rich_markup_mode = None
    return get_command(target)


app = typer.Typer(
    cls=Program, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=True
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"trunkline {trunkline.__version__}")
        raise typer.Exit


@app.callback()
def program(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One line to every model: a self-hosted AI gateway."""


def run() -> None:
    """The entry point. Exit codes: 0 done, 1 refused with a reason on standard error, 2 wrong usage."""
    try:
        app(prog_name="trunkline")
    except BrokenPipeError:
        # The reader of our output has left, which is its right.
        sys.stderr.close()
        sys.exit(1)
