"""How a provider wants its credential, and where the credential comes from."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class ProviderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME]`"""

    kind: Annotated[str | None, Meta(description="The registry row it behaves like; default: the row called NAME.")] = (
        None
    )
    base_url: Annotated[str | None, Meta(description="Where it is, up to and without `/chat/completions`.")] = None
    api_key: Annotated[str | None, Meta(description="`env:NAME`, `file:PATH` or the key itself.")] = None
    use_proxy: Annotated[bool, Meta(description="Go through HTTPS_PROXY when it is set (honours NO_PROXY).")] = True
