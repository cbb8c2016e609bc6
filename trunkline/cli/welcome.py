"""What the gateway says to whoever started it. Plain text, so that it reads the same in a file."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import msgspec

from trunkline.ports.admin import LINK_PATH

MODEL = "sandbox/echo"
PROMPT = "One line to every model."


class FirstStart(msgspec.Struct, frozen=True):
    """What is made at the first start, and shown then and never again."""

    url: str
    key: str
    admin_token: str

    def __repr__(self) -> str:
        return f"FirstStart({self.url!r})"


def first_start(first: FirstStart, answer: str | None) -> str:
    """`answer` is what the model said to a call that was tried."""
    tried = [] if answer is None else [f"{MODEL} answered: {answer}", ""]
    return _page(
        first.url,
        [
            *tried,
            f"Admin link (works once, for an hour): {first.url}{LINK_PATH}?token={first.admin_token}",
            f"First key (not shown again):          {first.key}",
            "",
            "Try it:",
            *curl(first.url, first.key),
        ],
    )


def later_start(url: str, command: Callable[[str], list[str]]) -> str:
    """Keys cannot be shown again: how to make another. `command` gives the words of a command of this installation."""
    return _page(
        url,
        [
            f"A key:         {shlex.join(command('keys create'))}",
            f"An admin link: {shlex.join(command('admin-link'))}",
            "",
            "Try it:",
            *curl(url, "$TRUNKLINE_KEY"),
        ],
    )


def curl(url: str, key: str) -> list[str]:
    """A command to paste into a shell. `key` may be a shell variable."""
    return [
        f"curl {shlex.quote(url + '/v1/chat/completions')} \\",
        f'  -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\',
        f"""  -d '{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "{PROMPT}"}}]}}'""",
    ]


def _page(url: str, lines: list[str]) -> str:
    return "\n".join(["", f"Trunkline serves {url} until Ctrl-C.", "", *(f"  {line}".rstrip() for line in lines), ""])
