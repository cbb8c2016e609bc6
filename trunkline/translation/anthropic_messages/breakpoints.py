"""Where the prompt's cache is to end: at most four places, those that keep for longer first.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from trunkline.translation.anthropic_messages.blocks import Writing
from trunkline.translation.anthropic_messages.vocabulary import cache_control

MOST_BREAKPOINTS = 4


def settle(writing: Writing, tools: list[Any], system: list[Any], messages: list[dict[str, Any]]) -> None:
    """Of too many, the first (of tools or system, which change least) and the last ones stay."""
    if not writing.marks:
        return
    marked = [*_marked(tools), *_marked(system)]
    for message in messages:
        marked += _marked(message["content"])
    most = MOST_BREAKPOINTS - (writing.request.cache is not None)
    if len(marked) > most:
        for block in marked[1 : len(marked) - most + 1]:
            del block["cache_control"]
        del marked[1 : len(marked) - most + 1]
        writing.losses.dropped("cache_control")
    short = False
    for block in marked:
        if "ttl" not in block["cache_control"]:
            short = True
        elif short:
            block["cache_control"] = cache_control("5m")
            writing.losses.changed("cache_control", "1h is sent as 5m after a breakpoint of 5m")


def _marked(blocks: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        if not isinstance(block, dict):
            continue
        inner = block.get("content")
        if isinstance(inner, list):
            yield from _marked(inner)
        if "cache_control" in block:
            yield block
