"""Local engines, found on their usual ports."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class DiscoveryOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[discovery]`"""

    local: Annotated[bool, Meta(description="Look for local engines on their usual ports after the start.")] = True
