"""Encrypted reasoning and the id of its item, as one state: a provider refuses the one under another id than it had
(https://github.com/BerriAI/litellm/pull/15782), and on its way through other protocols only the state is carried."""

from __future__ import annotations

_PREFIX = "rs_"


def seal(item_id: str | None, encrypted: str) -> str:
    if item_id is None or not item_id.startswith(_PREFIX) or "." in item_id:
        return encrypted
    return f"{item_id}.{encrypted}"


def unseal(data: str) -> tuple[str | None, str]:
    """The item's id, None when it is not known, and what it held, byte for byte."""
    item_id, dot, encrypted = data.partition(".")
    if dot and item_id.startswith(_PREFIX):
        return item_id, encrypted
    return None, data
