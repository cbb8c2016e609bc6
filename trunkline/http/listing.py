"""Lists of stored items, a page at a time, as OpenAI's lists are asked for and answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import parse_qsl

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.ports.conversations import ItemCursor, ItemPage
from trunkline.ports.responses import ItemRecord
from trunkline.wire import codec, openai_items

PAGE_MAX = 100
LONGEST_ID = 128


class Query:
    """A request's query. Of a name that stands twice the last counts; a list is written `include[]=a&include[]=b`."""

    def __init__(self, query: bytes) -> None:
        self._pairs = parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True)

    def text(self, name: str) -> str | None:
        return next((value for key, value in reversed(self._pairs) if key == name), None)

    def flag(self, name: str) -> bool:
        """Raises InvalidRequest, as all here do, naming the parameter."""
        given = (self.text(name) or "false").lower()
        if given not in ("true", "false"):
            raise InvalidRequest(f"{name} is true or false.", code="invalid_type", param=name)
        return given == "true"

    def whole(self, name: str, least: int, most: int) -> int | None:
        given = self.text(name)
        if given is None:
            return None
        digits = given.isascii() and given.isdecimal() and len(given) <= len(str(most))
        if not digits or not least <= int(given) <= most:
            raise InvalidRequest(f"{name} is a whole number from {least} to {most}.", code="invalid_type", param=name)
        return int(given)

    def include(self) -> frozenset[str]:
        asked = frozenset(value for key, value in self._pairs if key in ("include", "include[]"))
        if unknown := asked - openai_items.INCLUDABLE:
            raise InvalidRequest(
                f"include does not take {sorted(unknown)[0][:64]!r}; it takes"
                f" {', '.join(sorted(openai_items.INCLUDABLE))}.",
                param="include",
            )
        return asked

    def cursor(self) -> ItemCursor:
        given = self.text("order") or "desc"
        if given not in ("asc", "desc"):
            raise InvalidRequest("order is asc or desc.", param="order")
        after = self.text("after") or None
        if after is not None and len(after) > LONGEST_ID:
            raise InvalidRequest("after is the id of an item.", param="after")
        order: Literal["asc", "desc"] = "asc" if given == "asc" else "desc"
        limit = self.whole("limit", 1, PAGE_MAX)
        return ItemCursor(limit=20 if limit is None else limit, order=order, after=after)


def page_of(items: Sequence[ItemRecord], cursor: ItemCursor) -> ItemPage:
    """The page of a list that is given oldest first. Raises InvalidRequest for an `after` that it lacks."""
    ordered = items if cursor.order == "asc" else items[::-1]
    start = 0
    if cursor.after is not None:
        start = next((place for place, item in enumerate(ordered, 1) if item.id == cursor.after), 0)
        if start == 0:
            raise InvalidRequest("after is not the id of an item of this list.", param="after")
    end = start + cursor.limit
    return ItemPage(items=tuple(ordered[start:end]), has_more=end < len(ordered))


def list_body(page: ItemPage, include: frozenset[str]) -> bytes:
    """OpenAI's list of items. The ids at its ends are strings, empty for an empty page."""
    return codec.encode(
        {
            "object": "list",
            "data": [msgspec.Raw(openai_items.shown(item.content, include)) for item in page.items],
            "first_id": page.items[0].id if page.items else "",
            "last_id": page.items[-1].id if page.items else "",
            "has_more": page.has_more,
        }
    )
