"""Who sees whose usage, over which time, and that parts add up to the whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.http.browser import Page, ask
from tests.http.callers import CHILD, SERVICES
from trunkline import clock
from trunkline.http.admin import create_admin
from trunkline.http.asgi import Application
from trunkline.http.usage_pages import usage_routes
from trunkline.ids import ROOT_ACCOUNT, AccountId, KeyId
from trunkline.ports.accounts import Account, AccountFilter, AccountStore
from trunkline.ports.pages import Cursor
from trunkline.ports.pages import Page as Part
from trunkline.ports.reports import Spend, SpendQuery, Sums, UsageBucket, UsagePage, UsageQuery, UsageResult

NOW_S = 1_777_600_000.5  # 2026-05-01T01:46:40Z
MAY_S, JUNE_S = 1_777_593_600, 1_780_272_000
DAY_S = 86_400


def sums(cost_nanos: int, requests: int = 1) -> Sums:
    return Sums(
        requests=requests, cost_nanos=cost_nanos, input_tokens=3 * requests, output_tokens=requests, estimated=1
    )


def bucket(start_s: int, *results: UsageResult) -> UsageBucket:
    return UsageBucket(start_s=start_s, end_s=start_s + DAY_S, results=results)


class Figures:
    """Reports that say what they are told to, page by page."""

    def __init__(self) -> None:
        self.pages: list[list[UsageBucket]] = [[]]
        self.asked: list[UsageQuery] = []

    async def usage(self, query: UsageQuery) -> UsagePage:
        self.asked.append(query)
        place = int(query.page or 0)
        more = place + 1 < len(self.pages)
        return UsagePage(buckets=tuple(self.pages[place]), next_page=str(place + 1) if more else None)

    async def spend(self, query: SpendQuery, at_s: float) -> Spend:
        raise AssertionError("no page asks for this")


class Names:
    """Accounts in pages of one."""

    def page(self, wanted: AccountFilter, cursor: Cursor, *, within: AccountId) -> Part[Account]:
        assert wanted.archived
        assert wanted.itself
        ids = [ROOT_ACCOUNT, CHILD]
        place = 0 if cursor.after is None else ids.index(AccountId(cursor.after)) + 1
        account = Account(
            id=ids[place], parent_id=None, name=f"name {place}", created_at=1, external_ref=f"ref {place}"
        )
        return Part(items=(account,), has_more=place == 0)


@pytest.fixture
def reports() -> Figures:
    return Figures()


@pytest.fixture
def application(reports: Figures, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setattr(clock, "now_s", lambda: NOW_S)
    accounts: Any = Names()
    stored: AccountStore = accounts
    return create_admin(SERVICES, further=usage_routes(reports, stored))


async def get(application: Application, target: str, caller: str) -> Page:
    return await ask(application, "GET", target, {"x-api-key": caller})


REACHES: dict[str, tuple[AccountId, tuple[KeyId, ...] | None]] = {
    "plain": (CHILD, (KeyId("plain"),)),
    "manager": (CHILD, None),
    "viewer": (CHILD, None),
    "admin": (ROOT_ACCOUNT, None),
}


@pytest.mark.parametrize("caller", REACHES)
@pytest.mark.parametrize("path", ["/v1/usage", "/v1/usage/by-tag"])
async def test_a_plain_key_sees_its_own_and_others_their_tree(
    application: Application, reports: Figures, caller: str, path: str
) -> None:
    assert (await get(application, path, caller)).status == 200
    assert [(query.root, query.keys) for query in reports.asked] == [REACHES[caller]]


@pytest.mark.parametrize(("caller", "status"), [("plain", 403), ("manager", 200), ("viewer", 200), ("admin", 200)])
async def test_accounts_are_compared_by_who_may_read_them(application: Application, caller: str, status: int) -> None:
    assert (await get(application, "/v1/usage/by-sub-account", caller)).status == status


@pytest.mark.parametrize(
    ("path", "start_s", "end_s"),
    [
        ("/v1/usage", 1_777_600_001 - 30 * DAY_S, 1_777_600_001),
        ("/v1/usage?window=2d", 1_777_600_001 - 2 * DAY_S, 1_777_600_001),
        ("/v1/usage/by-tag", MAY_S, JUNE_S),
        ("/v1/usage/by-tag?month=2026-05", MAY_S, JUNE_S),
        ("/v1/usage/by-sub-account?start_time=5&end_time=7", 5, 7),
    ],
)
async def test_over_which_time(application: Application, reports: Figures, path: str, start_s: int, end_s: int) -> None:
    page = await get(application, path, "manager")
    answer = msgspec.json.decode(page.body)
    assert (answer["start_time"], answer["end_time"]) == (start_s, end_s)
    assert [(query.start_s, query.end_s) for query in reports.asked] == [(start_s, end_s)]


async def test_models_and_days_add_up_to_the_summary(application: Application, reports: Figures) -> None:
    echo, other = (UsageResult(sums=sums(7), model="sandbox/echo"), UsageResult(sums=sums(10**18, 2), model="a/b"))
    reports.pages = [[bucket(MAY_S - DAY_S), bucket(MAY_S, other, echo)], [bucket(MAY_S + DAY_S, echo)]]
    page = await get(application, "/v1/usage?window=2d", "manager")
    answer = msgspec.json.decode(page.body)
    assert b'"cost_cents":100000000000.0000014,"cost_usd":1000000000.000000014,' in page.body
    assert (answer["id"], answer["window"]) == (CHILD, "2d")
    assert [(one["model_id"], one["label"], one["requests"]) for one in answer["by_model"]] == [
        ("a/b", "a/b", 2),
        ("sandbox/echo", "sandbox/echo", 2),
    ]
    assert [(one["date"], one["requests"]) for one in answer["by_day"]] == [("2026-05-01", 3), ("2026-05-02", 1)]
    summary = answer["summary"]
    assert (summary["requests"], summary["input_tokens"], summary["estimated_requests"]) == (4, 12, 3)
    assert [query.page for query in reports.asked] == [None, "1"]


async def test_tags_have_both_spellings(application: Application, reports: Figures) -> None:
    reports.pages = [[bucket(MAY_S, UsageResult(sums=sums(10**7, 3), tag="a"), UsageResult(sums=sums(1), tag=None))]]
    answer = msgspec.json.decode((await get(application, "/v1/usage/by-tag", "plain")).body)
    shown = [(one["tag"], one["label"], one["requests"], one["cost_cents"]) for one in answer["data"]]
    assert (answer["object"], shown) == ("list", [("a", "a", 3, 1), (None, "", 1, 0.0000001)])
    assert [(query.width, query.group_by) for query in reports.asked] == [("none", ("tag",))]


async def test_accounts_come_with_their_names(application: Application, reports: Figures) -> None:
    gone = UsageResult(sums=sums(2), account_id="acct_gone")
    reports.pages = [[bucket(MAY_S, UsageResult(sums=sums(5), account_id=CHILD), gone)]]
    answer = msgspec.json.decode((await get(application, "/v1/usage/by-sub-account", "admin")).body)
    assert [(one["sub_account_id"], one["name"], one["external_ref"]) for one in answer["data"]] == [
        (CHILD, "name 1", "ref 1"),
        ("acct_gone", "", None),
    ]


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/usage/by-tag", "/v1/usage/by-sub-account"])
async def test_a_time_that_makes_no_sense_is_refused_by_name(application: Application, path: str) -> None:
    page = await get(application, path + "?window=soon", "manager")
    assert (page.status, msgspec.json.decode(page.body)["error"]["param"]) == (400, "window")
