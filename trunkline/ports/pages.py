"""Parts of long lists, by the id of the item before or behind them, so that a page costs the same wherever it is."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
MOST_ITEMS = 1000
"""The longest page."""


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """`limit` items (1 to MOST_ITEMS) behind the one with the id `after`, or the last ones ahead of `before`; with
    neither, from the beginning. At most one of the two. An id that is not in the list is InvalidRequest."""

    limit: int = 20
    after: str | None = None
    before: str | None = None
    newest_first: bool = False


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """`has_more`: there are more beyond it, in the direction that was asked for."""

    items: tuple[T, ...]
    has_more: bool = False
