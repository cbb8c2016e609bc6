from __future__ import annotations

import pytest

from trunkline.ports.pages import Cursor, Page


def test_a_page_is_the_last_unless_it_says_otherwise() -> None:
    assert Page(items=(1, 2)).has_more is False


def test_a_list_begins_at_its_beginning() -> None:
    assert Cursor() == Cursor(limit=20, after=None, before=None, newest_first=False)
    with pytest.raises(AttributeError):
        Cursor().limit = 5  # type: ignore[misc]
