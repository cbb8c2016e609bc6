from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.http.listing import Query, list_body, page_of
from trunkline.ports.conversations import ItemCursor, ItemPage
from trunkline.ports.responses import ItemRecord

FIVE = [ItemRecord(f"msg_{number}", b'{"id":"msg_%d"}' % number) for number in range(5)]


@given(st.integers(0, 12), st.integers(1, 100), st.sampled_from(["asc", "desc"]))
def test_pages_make_the_whole(count: int, limit: int, order: str) -> None:
    items = [ItemRecord(f"msg_{number}", b"{}") for number in range(count)]
    collected: list[ItemRecord] = []
    after, more = None, True
    while more:
        page = page_of(items, ItemCursor(limit=limit, order=order, after=after))  # type: ignore[arg-type]
        collected += page.items
        more = page.has_more
        after = page.items[-1].id if page.items else None
    assert collected == (items if order == "asc" else items[::-1])


def test_a_page_behind_an_unknown_item_is_refused() -> None:
    with pytest.raises(InvalidRequest) as raised:
        page_of(FIVE, ItemCursor(after="msg_9"))
    assert raised.value.param == "after"


def test_a_list_names_its_ends() -> None:
    body = msgspec.json.decode(list_body(ItemPage(items=tuple(FIVE[1:3]), has_more=True), frozenset()))
    assert body == {
        "object": "list",
        "data": [{"id": "msg_1"}, {"id": "msg_2"}],
        "first_id": "msg_1",
        "last_id": "msg_2",
        "has_more": True,
    }
    empty = msgspec.json.decode(list_body(ItemPage(items=(), has_more=False), frozenset()))
    assert (empty["data"], empty["first_id"], empty["last_id"], empty["has_more"]) == ([], "", "", False)


def test_what_is_not_said_is_the_newest_twenty() -> None:
    assert Query(b"").cursor() == ItemCursor()
    assert Query(b"limit=3&order=asc&after=msg_1").cursor() == ItemCursor(limit=3, order="asc", after="msg_1")
    assert Query(b"limit=3&limit=4").cursor().limit == 4


def test_a_list_may_be_written_in_either_way() -> None:
    asked = frozenset({"reasoning.encrypted_content", "message.output_text.logprobs"})
    for name in (b"include", b"include[]", b"include%5B%5D"):
        query = b"%b=reasoning.encrypted_content&%b=message.output_text.logprobs" % (name, name)
        assert Query(query).include() == asked
    assert Query(b"").include() == frozenset()


@pytest.mark.parametrize(
    ("given_", "wanted"), [(b"", False), (b"x=true", True), (b"x=TRUE", True), (b"x=false", False)]
)
def test_a_flag(given_: bytes, wanted: bool) -> None:
    assert Query(given_).flag("x") is wanted


@pytest.mark.parametrize("given_", [b"x=1", b"x=yes", b"x=%ff"])
def test_a_flag_is_true_or_false(given_: bytes) -> None:
    with pytest.raises(InvalidRequest):
        Query(given_).flag("x")


@pytest.mark.parametrize("given_", ["", "-1", "101", "1.0", "1e1", "١", "9" * 5_000, " 1", "+1"])
def test_a_whole_number_has_bounds(given_: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        Query(f"n={given_}".encode()).whole("n", 0, 100)
    assert raised.value.param == "n"


def test_a_long_after_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        Query(b"after=" + b"x" * 200).cursor()
