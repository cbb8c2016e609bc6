"""What `serve --welcome` says when the gateway is ready. Plain text, so that it reads the same in a file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

MODEL = "sandbox/echo"
PROMPT = "One line to every model."


def first_start(url: str, answer: str, admin_link: str, key: str) -> str:
    """Link and key are shown here and never again. `answer` is what the model said to a call that was tried."""
    return _page(
        url,
        [
            f"{MODEL} answered: {answer}",
            "",
            f"Admin link (works once, for an hour): {admin_link}",
            f"First key (not shown again):          {key}",
            "",
            "Try it:",
            *curl(url, key),
        ],
    )


def later_start(url: str, answer: str, data_dir: str) -> str:
    """Keys exist and cannot be shown: how to make another."""
    return _page(
        url,
        [
            f"{MODEL} answered: {answer}",
            "",
            f"To make a key:         {command('keys create', data_dir)}",
            f"To make an admin link: {command('admin-link', data_dir)}",
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


def command(name: str, data_dir: str) -> str:
    """A command of the program that runs now, which need not be on the shell's path: `.venv/bin/trunkline ...`."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "trunkline" else "trunkline"
    return shlex.join([program, *name.split(), "--data-dir", data_dir])


def _page(url: str, lines: list[str]) -> str:
    return "\n".join(["", f"Trunkline serves {url} until Ctrl-C.", "", *(f"  {line}".rstrip() for line in lines), ""])
