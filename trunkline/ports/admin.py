"""Where admin links are kept: single-use doors to the console for whoever can read the terminal."""

from __future__ import annotations

from typing import Protocol

LINK_LIFE_S = 3600.0
LINK_PATH = "/console/enter"
"""The page that takes a link's token, as `?token=...`."""


class AdminLinks(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer."""

    def create(self) -> str:
        """A new token, good once and for an hour. Only its digest is kept."""
        ...

    def redeem(self, token: str) -> bool:
        """True exactly once for a token that was made and has not ended, however many ask at the same time."""
        ...
