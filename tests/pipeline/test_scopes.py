from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from trunkline.catalog.models import Deployment
from trunkline.catalog.providers import PROVIDERS
from trunkline.errors import Defect, Forbidden, Unavailable
from trunkline.ids import AccountId, KeyId
from trunkline.pipeline import scopes
from trunkline.pipeline.scopes import UNCAPPED, Funding, Scopes
from trunkline.ports.budgets import Budget
from trunkline.ports.tenancy import Tenancy, Tenant
from trunkline.routing.table import Route

ROOT, TEAM, APP, OTHER = (AccountId(f"acct_{name}") for name in ("root", "team", "app", "other"))
KEY = KeyId("key_1")
PARENTS = {ROOT: None, TEAM: ROOT, APP: TEAM, OTHER: ROOT}


def budget(name: str, kind: str, subject: str, account: AccountId = APP, **terms: Any) -> Budget:
    fields: dict[str, Any] = {"kind": kind, "limit_nanos": 10**9, **terms}
    return Budget(id=name, account_id=account, subject=subject, **fields)


def tenancy(*budgets: Budget, **facts: dict[str, Any]) -> Tenancy:
    """`facts` of the accounts by the end of their ids."""
    tenants = {one: Tenant(id=one, parent_id=above, **facts.get(one[5:], {})) for one, above in PARENTS.items()}
    return Tenancy(version=1, tenants=tenants, budgets=budgets)


def funding(of: Scopes, account: AccountId = APP, **call: Any) -> Funding:
    asked: dict[str, Any] = {"key_id": KEY, "tag": None, "end_user": None, "asked": ("fast",), "models": ("openai/m",)}
    return of.lineage(account).funding(**{**asked, **call})


def ids(of: Scopes, account: AccountId = APP, **call: Any) -> list[str]:
    return [source.id for source in funding(of, account, **call).sources]


def test_without_budgets_the_answer_is_always_the_same_one() -> None:
    made = Scopes(tenancy(budget("b", "account", OTHER, OTHER)))
    assert funding(made) is UNCAPPED
    assert funding(made, TEAM, tag="x", end_user="y", key_id=KeyId("key_2")) is UNCAPPED
    assert not UNCAPPED.is_capped
    assert funding(made, OTHER).is_capped


def test_the_narrowest_comes_first() -> None:
    made = Scopes(
        tenancy(
            budget("root", "account", ROOT, ROOT),
            budget("team", "account", TEAM, ROOT),
            budget("app", "account", APP),
            budget("model", "model", "fast", ROOT),
            budget("tag-team", "tag", "blue", TEAM),
            budget("tag", "tag", "blue"),
            budget("user", "end_user", "alice"),
            budget("key", "key", KEY),
            budget("other-key", "key", "key_2"),
            budget("other", "account", OTHER, OTHER),
            team={"has_credit": True},
            root={"has_credit": True},
        )
    )
    whole = ["key", "user", "tag", "tag-team", "model", "app", "team", "wallet:acct_team", "root"]
    assert ids(made, tag="blue", end_user="alice") == whole
    assert ids(made) == ["key", "model", "app", "team", "wallet:acct_team", "root"]
    assert ids(made, OTHER, key_id="key_2", tag="blue", asked=("m",)) == [
        "other-key",
        "other",
        "root",
        "wallet:acct_root",
    ]


def test_what_a_refusal_calls_them() -> None:
    made = Scopes(
        tenancy(
            budget("k", "key", KEY), budget("t", "tag", "blue"), budget("a", "account", TEAM), app={"has_credit": True}
        )
    )
    named = {source.id: source.scope for source in funding(made, tag="blue").sources}
    assert named == {"k": "key", "t": "tag blue", "wallet:acct_app": "account acct_app", "a": "account above this one"}


def test_what_is_of_an_account_above_is_not_named() -> None:
    made = Scopes(
        tenancy(
            budget("tag-team", "tag", "blue", account=TEAM), budget("model-team", "model", "*", account=TEAM),
            budget("a", "account", TEAM), budget("t", "tag", "blue"), team={"has_credit": True},
        )
    )  # fmt: skip
    above = {source.id: source.is_above for source in funding(made, tag="blue").sources}
    assert above == {"t": False, "tag-team": True, "model-team": True, "a": True, "wallet:acct_team": True}


def test_shorter_periods_come_before_longer_ones() -> None:
    periods = ("never", "month", "day", "week")
    made = Scopes(tenancy(*(budget(period, "account", APP, period=period) for period in periods)))
    assert ids(made) == ["day", "week", "month", "never"]


def test_only_the_nearest_wallet_pays() -> None:
    assert ids(Scopes(tenancy(root={"has_credit": True}))) == ["wallet:acct_root"]
    both = Scopes(tenancy(root={"has_credit": True}, app={"has_credit": True}))
    assert ids(both) == ["wallet:acct_app"]
    assert ids(both, TEAM) == ["wallet:acct_root"]


@pytest.mark.parametrize(
    ("glob", "asked", "models", "pays_for"),
    [
        ("fast", ("fast",), ("openai/m", "azure/m"), {"openai/m", "azure/m"}),
        ("FA*", ("fast",), ("openai/m",), {"openai/m"}),
        ("alias", ("Alias", "alias"), ("openai/m",), {"openai/m"}),
        ("openai/*", ("fast",), ("openai/m", "azure/m"), {"openai/m"}),
        ("m", ("openai/m",), ("openai/m", "azure/m", "azure/n"), {"openai/m", "azure/m"}),
        ("other", ("fast",), ("openai/m",), set()),
    ],
)
def test_budgets_of_models(glob: str, asked: Sequence[str], models: Sequence[str], pays_for: set[str]) -> None:
    found = funding(Scopes(tenancy(budget("b", "model", glob, TEAM))), asked=asked, models=models).sources
    assert {model for model in models if any(source.pays_for(model) for source in found)} == pays_for


def test_a_model_left_out_takes_its_budget_with_it() -> None:
    made = Scopes(tenancy(budget("b", "model", "openai/*")))
    assert ids(made, models=("openai/m", "azure/m")) == ["b"]
    assert ids(made, models=("azure/m",)) == []


def test_answers_are_remembered_by_what_was_found() -> None:
    made = Scopes(tenancy(budget("b", "end_user", "alice"), budget("k", "key", KEY)))
    assert funding(made, end_user="bob") is funding(made, end_user="carol", tag="x")
    assert funding(made, end_user="alice") is funding(made, end_user="alice")
    assert ids(made, end_user="alice") == ["k", "b"]


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "MEMO_ENTRIES", 4)
    made = Scopes(tenancy(budget("b", "model", "*")))
    for number in range(20):
        assert ids(made, models=(f"openai/{number}",)) == ["b"]
    assert len(made.lineage(APP)._memo) <= 4


def test_the_nearest_markup_and_tag_count() -> None:
    made = Scopes(tenancy(root={"markup_millionths": 50_000, "default_tag": "all"}, app={"markup_millionths": 0}))
    assert [made.lineage(one).markup_millionths for one in (ROOT, TEAM, APP)] == [50_000, 50_000, 0]
    assert made.lineage(APP).default_tag == "all"
    assert Scopes(tenancy()).lineage(APP).markup_millionths == 0


def deployments(*model_ids: str) -> tuple[Deployment, ...]:
    row = PROVIDERS["openai"]
    return tuple(Deployment(model_id=one, provider_id="openai", provider=row, upstream=one) for one in model_ids)


def test_a_call_must_pass_the_globs_of_every_account() -> None:
    made = Scopes(tenancy(root={"models": ("openai/*", "fast")}, app={"models": ("*/m", "*/n")})).lineage(APP)
    candidates = deployments("openai/m", "azure/m", "openai/o")
    route = Route(asked="x", alias=None, deployments=candidates)
    assert [one.model_id for one in made.permitted(route, candidates)] == ["openai/m"]
    # An alias that the root lists brings its whole route past the root, and not past the account.
    aliased = Route(asked="Fast", alias="fast", deployments=candidates)
    assert [one.model_id for one in made.permitted(aliased, candidates)] == ["openai/m", "azure/m"]
    with pytest.raises(Forbidden) as refused:
        made.permitted(route, deployments("azure/m"))
    assert refused.value.code == "model_not_allowed"
    assert "azure" not in refused.value.message
    free = Scopes(tenancy()).lineage(APP)
    assert free.permitted(route, candidates) is candidates


def test_an_archived_account_calls_nothing_nor_do_those_below_it() -> None:
    made = Scopes(tenancy(team={"archived": True}))
    for account in (TEAM, APP):
        with pytest.raises(Forbidden, match="archived"):
            made.lineage(account)
    made.lineage(OTHER)


def test_an_account_that_the_snapshot_lacks_is_asked_for_again() -> None:
    with pytest.raises(Unavailable) as refused:
        Scopes(tenancy()).lineage(AccountId("acct_new"))
    assert refused.value.retry_after_s


def test_a_circle_of_accounts_is_found() -> None:
    tenants = {TEAM: Tenant(id=TEAM, parent_id=APP), APP: Tenant(id=APP, parent_id=TEAM)}
    with pytest.raises(Defect):
        Scopes(Tenancy(version=1, tenants=tenants)).lineage(APP)


def test_of_which_budgets_the_leases_have_ended() -> None:
    before = tenancy(*(budget(name, "tag", name, limit_nanos=10) for name in ("same", "raised", "lowered", "ended")))
    limits = {"same": 10, "raised": 11, "lowered": 9, "new": 1}
    after = tenancy(*(budget(name, "tag", name, limit_nanos=limit) for name, limit in limits.items()))
    assert scopes.cut(before, after) == {"lowered", "ended"}
