"""What a key looks like, and what it may do."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class KeysOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[keys]`"""

    prefix: Annotated[
        str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,31}$", description="What minted keys begin with.")
    ] = "sk-tl"
    pepper: Annotated[
        str | None,
        Meta(
            description="`file:PATH` or `env:NAME` of the secret that digests keys; default: `pepper` in the data directory."
        ),
    ] = None
