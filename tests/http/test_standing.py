"""Which part of the tree is whose."""

from __future__ import annotations

import msgspec
import pytest
from litestar import get
from litestar.handlers import HTTPRouteHandler

from tests.http.browser import ask
from tests.http.callers import CALLERS, CHILD, SERVICES
from trunkline.http.admin import KEY, create_admin
from trunkline.http.described import Call
from trunkline.http.standing import actor, caller, own_keys, reader_of
from trunkline.ids import ROOT_ACCOUNT


def routes() -> list[HTTPRouteHandler]:
    @get("/whose", opt=KEY)
    async def whose(request: Call) -> list[str]:
        by = actor(request)
        return [caller(request).name, reader_of(request), by.id, by.account_id, by.role, str(by.address)]

    return [whose]


@pytest.mark.parametrize(
    ("name", "reads", "role"),
    [("admin", ROOT_ACCOUNT, "owner"), ("manager", CHILD, "admin"), ("viewer", CHILD, "viewer"), ("plain", None, None)],
)
async def test_who_reads_what_and_is_written_down(name: str, reads: str | None, role: str | None) -> None:
    page = await ask(create_admin(SERVICES, further=routes()), "GET", "/whose", {"x-api-key": name})
    if reads is None:
        assert (page.status, msgspec.json.decode(page.body)["error"]["code"]) == (403, "scope_missing")
    else:
        assert msgspec.json.decode(page.body) == [name, reads, name, reads, role, "127.0.0.1"]


@pytest.mark.parametrize(
    ("name", "keys"), [("admin", None), ("manager", None), ("viewer", None), ("plain", ("plain",))]
)
def test_a_plain_key_sees_itself_alone(name: str, keys: tuple[str, ...] | None) -> None:
    assert own_keys(CALLERS[name]) == keys
