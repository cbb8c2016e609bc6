"""The fenced blocks of a document.

A fence says its language and what is done with it: ```` ```python run ````, or why it is not run:
```` ```bash because: needs a provider's key ````.
A ```` ```text output ```` block right after one that runs is what it prints; `...` stands for anything.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from tests.house import tree

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    path: Path
    line: int
    language: str
    text: str
    runs: bool
    reason: str = ""
    output: str | None = None

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"


def snippets_of(path: Path) -> list[Snippet]:
    text = tree.read(path)
    found: list[Snippet] = []
    for block in FENCE.finditer(text):
        language, _, rest = block["info"].strip().partition(" ")
        line = text.count("\n", 0, block.start()) + 1
        if (language, rest) == ("text", "output"):
            assert found, f"{path}:{line}: an output of nothing"
            assert found[-1].runs, f"{path}:{line}: an output of a program that is not run"
            found[-1] = msgspec.structs.replace(found[-1], output=block["text"])
            continue
        reason = rest.partition("because:")[2].strip()
        found.append(
            Snippet(path=path, line=line, language=language, text=block["text"], runs=rest == "run", reason=reason)
        )
    return found


def fits(printed: str, expected: str) -> bool:
    """Does the output fit the page? Line by line; `...` in a line is anything, alone in a line any lines."""
    pattern = ""
    for line in expected.strip().splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n"
    return re.fullmatch(pattern, printed.strip() + "\n") is not None
