"""To which budgets and which wallet a call belongs: the tenancy, compiled for look-ups on the path of a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from trunkline.catalog.models import Deployment
from trunkline.errors import Defect, Forbidden, Unavailable
from trunkline.ids import AccountId, KeyId
from trunkline.policy.keys import matches
from trunkline.ports.budgets import WALLET, Budget, Period
from trunkline.ports.tenancy import Tenancy, Tenant
from trunkline.routing.table import Route

MEMO_ENTRIES = 16_384
ABOVE: Final = "account above this one"
T = TypeVar("T")
_PERIODS: Final[tuple[Period, ...]] = ("day", "week", "month", "never")


class Source(msgspec.Struct, frozen=True, gc=False):
    """One thing that pays for calls: a budget, or an account's credit. `id` is the ledger's name of it, `scope` what a
    refusal calls it. `models`: the ids of the models that it pays for; None, whichever serves. `is_above`: it is of an
    account further up, whose affairs are not the caller's to know."""

    id: str
    scope: str
    models: frozenset[str] | None = None
    is_above: bool = False

    def pays_for(self, model_id: str) -> bool:
        return self.models is None or model_id in self.models


class Funding(msgspec.Struct, frozen=True, gc=False):
    """Everything that a call must fit, the narrowest first; none for most."""

    sources: tuple[Source, ...] = ()

    @property
    def is_capped(self) -> bool:
        return bool(self.sources)


UNCAPPED: Final = Funding()


class Lineage:
    """An account with all those above it, as calls see them."""

    __slots__ = (
        "_by_key",
        "_is_plain",
        "_memo",
        "_models",
        "_names",
        "_sources",
        "default_tag",
        "markup_millionths",
        "models",
    )

    def __init__(self, chain: Sequence[Tenant], sources: _Sources) -> None:
        """`chain` from the account upwards.

        `models` are the globs of each that has some; `markup_millionths` and `default_tag` are the nearest.
        """
        self.models = tuple(tenant.models for tenant in chain if tenant.models)
        self.markup_millionths = _nearest(tenant.markup_millionths for tenant in chain) or 0
        self.default_tag = _nearest(tenant.default_tag for tenant in chain)
        ids = [tenant.id for tenant in chain]
        self._by_key = sources.by_key
        own = ids[0]
        self._names = {kind: _by_subject(sources.counted(kind, ids), own) for kind in ("end_user", "tag")}
        self._models = [(budget.subject, _source(budget, own)) for budget in sources.counted("model", ids)]
        self._sources = tuple(_of_accounts(chain, sources))
        self._is_plain = not (self._sources or self._models or any(self._names.values()))
        self._memo: dict[tuple[object, ...], Funding] = {}

    def funding(
        self, key_id: KeyId, tag: str | None, end_user: str | None, asked: Sequence[str], models: Sequence[str]
    ) -> Funding:
        """What a call must fit. `asked` are the names that it was asked by (as written, and the alias), `models` the
        ids of the models that may serve it. Takes 0.2 us for an account without budgets, 0.6 us else."""
        of_key = self._by_key.get(key_id)
        if self._is_plain and of_key is None:
            return UNCAPPED
        return self._capped(of_key or (), tag, end_user, (tuple(asked), tuple(models)))

    def permitted(self, route: Route, candidates: Sequence[Deployment]) -> Sequence[Deployment]:
        """Those of the candidates that every account of the lineage may use, in their order, never none.

        An account that lists a name, alias or id, permits its whole route. Raises Forbidden when nothing is left.
        """
        left = candidates
        for globs in self.models:
            if matches(globs, route.asked) or (route.alias is not None and matches(globs, route.alias)):
                continue
            left = [deployment for deployment in left if matches(globs, deployment.model_id)]
        if not left:
            raise Forbidden(
                f"The account of this key may not use the model {route.asked!r}.",
                code="model_not_allowed",
                param="model",
            )
        return left

    def _capped(
        self,
        of_key: tuple[Source, ...],
        tag: str | None,
        end_user: str | None,
        names: tuple[tuple[str, ...], tuple[str, ...]],
    ) -> Funding:
        of_user = self._names["end_user"].get(end_user or "", ())
        of_tag = self._names["tag"].get(tag or "", ())
        # By what was found, not by what was asked: people send a new end user with every call.
        place = (of_key, of_user, of_tag, names if self._models else None)
        known = self._memo.get(place)
        if known is None:
            if len(self._memo) >= MEMO_ENTRIES:
                self._memo.clear()
            known = Funding((*of_key, *of_user, *of_tag, *self._of_models(*names), *self._sources))
            self._memo[place] = known
        return known

    def _of_models(self, asked: tuple[str, ...], models: tuple[str, ...]) -> Iterator[Source]:
        for glob, source in self._models:
            if any(matches((glob,), name) for name in asked):
                yield source
                continue
            # A name without its maker stands for the model wherever it is served, or a longer spelling would escape.
            found = frozenset(
                model for model in models if matches((glob,), model) or matches((glob,), model.partition("/")[2])
            )
            if found:
                yield msgspec.structs.replace(source, models=found)


class Scopes:
    """Made anew from every snapshot; lineages are compiled when they are first asked for."""

    __slots__ = ("_lineages", "_sources", "_tenants")

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenants = tenancy.tenants
        self._sources = _Sources(tenancy.budgets)
        self._lineages: dict[AccountId, Lineage] = {}

    def lineage(self, account_id: AccountId) -> Lineage:
        """Raises Forbidden when the account, or one above it, is archived; Unavailable while the snapshot is older than
        the account. Takes 0.1 us."""
        known = self._lineages.get(account_id)
        if known is None:
            known = self._lineages[account_id] = Lineage(self._chain(account_id), self._sources)
        return known

    def _chain(self, account_id: AccountId) -> list[Tenant]:
        chain: list[Tenant] = []
        above: AccountId | None = account_id
        while above is not None:
            tenant = self._tenants.get(above)
            if tenant is None:
                raise Unavailable(
                    "The account of this key is so new that it is not known here; try again.", retry_after_s=1.0
                )
            if tenant.archived:
                raise Forbidden("The account of this key is archived.", code="account_archived")
            if len(chain) == len(self._tenants):
                raise Defect(f"the accounts above {account_id} form a circle")
            chain.append(tenant)
            above = tenant.parent_id
        return chain


def cut(before: Tenancy, after: Tenancy) -> frozenset[str]:
    """The ids of the budgets that have ended, or have less than before: the store has ended the leases on them."""
    now = {budget.id: budget for budget in after.budgets}
    return frozenset(one.id for one in before.budgets if one.id not in now or now[one.id].limit_nanos < one.limit_nanos)


class _Sources:
    """All budgets by what they are of."""

    __slots__ = ("_by_account", "by_key")

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self.by_key: dict[str, tuple[Source, ...]] = {}
        self._by_account: dict[str, list[Budget]] = {}
        for budget in sorted(budgets, key=lambda one: (_PERIODS.index(one.period), one.id)):
            if budget.kind == "key":
                source = _source(budget, budget.account_id)
                self.by_key[budget.subject] = (*self.by_key.get(budget.subject, ()), source)
            else:
                # An account's budget may have been set by one above it.
                place = budget.subject if budget.kind == "account" else budget.account_id
                self._by_account.setdefault(place, []).append(budget)

    def counted(self, kind: str, account_ids: Iterable[str]) -> list[Budget]:
        """Those of a kind, the nearest account's first."""
        return [one for account in account_ids for one in self._by_account.get(account, ()) if one.kind == kind]


def _of_accounts(chain: Sequence[Tenant], sources: _Sources) -> Iterator[Source]:
    wallet = next((tenant.id for tenant in chain if tenant.has_credit), None)
    own = chain[0].id
    for tenant in chain:
        for budget in sources.counted("account", (tenant.id,)):
            yield _source(budget, own)
        if tenant.id == wallet:
            yield (
                Source(WALLET + wallet, f"account {wallet}")
                if wallet == own
                else Source(WALLET + wallet, ABOVE, is_above=True)
            )


def _source(budget: Budget, own: AccountId) -> Source:
    """As calls of the account `own` meet it."""
    if budget.kind == "key":
        return Source(budget.id, "key")  # the caller knows which one he has shown
    owner = budget.subject if budget.kind == "account" else budget.account_id
    if owner != own:
        return Source(budget.id, ABOVE, is_above=True)
    return Source(budget.id, f"{budget.kind} {budget.subject}")


def _by_subject(budgets: Iterable[Budget], own: AccountId) -> dict[str, tuple[Source, ...]]:
    found: dict[str, tuple[Source, ...]] = {}
    for budget in budgets:
        found[budget.subject] = (*found.get(budget.subject, ()), _source(budget, own))
    return found


def _nearest(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
