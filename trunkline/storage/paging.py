"""Pages of a list by keyset: found by index, however far down they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, tuple_

from trunkline.errors import InvalidRequest
from trunkline.ports.pages import MOST_ITEMS, Cursor, Page

T = TypeVar("T")


def page(
    connection: Connection,
    listed: Select[Any],
    cursor: Cursor,
    order: tuple[ColumnElement[Any], ...],
    item: Callable[[Row[*tuple[Any, ...]]], T],
) -> Page[T]:
    """`listed` in the order of `order`, oldest first; its last column is the id that cursors name.

    Raises InvalidRequest for a cursor that does not fit.
    """
    if not 1 <= cursor.limit <= MOST_ITEMS:
        raise InvalidRequest(f"'limit' is 1 to {MOST_ITEMS}.", param="limit")
    if cursor.after is not None and cursor.before is not None:
        raise InvalidRequest("Give 'after' or 'before', not both.", param="before")
    backwards = cursor.before is not None
    descending = cursor.newest_first is not backwards
    for param, mark in (("after", cursor.after), ("before", cursor.before)):
        if mark is not None:
            at = _place(connection, listed, order, mark, param)
            here = tuple_(*order)
            listed = listed.where(here < at if descending else here > at)
    listed = listed.order_by(*(column.desc() if descending else column.asc() for column in order))
    rows = connection.execute(listed.limit(cursor.limit + 1)).all()
    items = [item(row) for row in rows[: cursor.limit]]
    return Page(items=tuple(reversed(items) if backwards else items), has_more=len(rows) > cursor.limit)


def _place(
    connection: Connection, listed: Select[Any], order: tuple[ColumnElement[Any], ...], mark: str, param: str
) -> ColumnElement[Any]:
    # Looked for in the list itself, so that a cursor tells nothing of what the list leaves out.
    found = connection.execute(listed.with_only_columns(*order).where(order[-1] == mark)).first()
    if found is None:
        raise InvalidRequest(f"{param!r} names nothing that is in this list.", param=param)
    return tuple_(*found)
