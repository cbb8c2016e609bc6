"""Which sandbox model a request's name means."""

from __future__ import annotations

import re

from trunkline.providers.sandbox import models

_PROVIDER = re.compile(r"sandbox(-[a-z]+)?/")


def bare(name: str) -> str | None:
    """`Sandbox-Messages/Echo` and `echo` are both `echo`; None for what is no model that talks."""
    found = name.casefold()
    if prefix := _PROVIDER.match(found):
        found = found[prefix.end() :]
    return found if found in models.CHAT else None
