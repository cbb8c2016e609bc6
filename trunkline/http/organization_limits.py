"""Limits of the organisation API: what may be spent, when somebody wants to know, how fast, and with which models.

A spend limit is the budget of an account for a month; whoever set it last, over whichever interface, has set it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET

from trunkline.errors import InvalidRequest, NotFound
from trunkline.http.described import Nothing
from trunkline.http.organization_routes import PREFIX, PROJECT, Asked, cursor_of, page_of, route
from trunkline.http.renaming import renamed
from trunkline.http.responses import unknown
from trunkline.ids import AccountId
from trunkline.money import Nanos
from trunkline.ports.accounts import EVERY_MODEL, Account, AccountChange, AccountStore, RateLimits
from trunkline.ports.budget_store import BudgetDraft, BudgetFilter, BudgetStore
from trunkline.ports.budgets import Budget
from trunkline.ports.pages import Cursor
from trunkline.ports.spend_alerts import SpendAlert, SpendAlertDraft, SpendAlerts
from trunkline.wire import openai_organization_limits as wire
from trunkline.wire.amounts import NANOS_PER_CENT
from trunkline.wire.openai_organization import Deleted, Page, Removed

Level = Literal["organization", "project"]
NO_LIMIT: Final = 1_000_000_000
"""What a rate that was never set is shown as, where OpenAI always has a number; set to it, or to more, it is gone."""
NO_MODEL: Final = "!*"
RATES: Final = {
    "max_requests_per_1_minute": "requests_per_minute",
    "max_tokens_per_1_minute": "tokens_per_minute",
    "max_images_per_1_minute": "images_per_minute",
    "max_audio_megabytes_per_1_minute": "audio_megabytes_per_minute",
    "max_requests_per_1_day": "requests_per_day",
    "batch_1_day_max_input_tokens": "batch_tokens_per_day",
}
"""OpenAI's names of rates, and ours."""
ALWAYS_SHOWN: Final = ("max_requests_per_1_minute", "max_tokens_per_1_minute")
RATE_NAMES: Final = {ours: theirs for theirs, ours in RATES.items()}
BUDGET_NAMES: Final = {"limit_nanos": "threshold_amount", "limit": "threshold_amount", "account": "project_id"}
ALERT_NAMES: Final = {
    "threshold_nanos": "threshold_amount",
    "threshold": "threshold_amount",
    "recipients": "notification_channel.recipients",
    "email": "notification_channel.recipients",
    "subject_prefix": "notification_channel.subject_prefix",
}


class SpendLimits:
    """`level`: the organisation's own, or those of its projects."""

    def __init__(self, level: Level, accounts: AccountStore, budgets: BudgetStore) -> None:
        self._level: Level = level
        self._accounts = accounts
        self._budgets = budgets

    def routes(self) -> list[HTTPRouteHandler]:
        path = _place(self._level) + "/spend_limit"
        return [
            route("GET", path, self.retrieve, asks=Nothing, answer=wire.SpendLimit),
            route("POST", path, self.update, asks=wire.SpendLimitUpdate, answer=wire.SpendLimit),
            route("DELETE", path, self.delete, asks=Nothing, answer=Removed),
        ]

    def retrieve(self, asked: Asked[Nothing]) -> wire.SpendLimit:
        """What may be spent in a month."""
        account = self._accounts.show(account_of(asked), within=asked.within)
        return self._shown(self._found(account, asked.within), account)

    def update(self, asked: Asked[wire.SpendLimitUpdate]) -> wire.SpendLimit:
        """Set what may be spent in a month of UTC; what is spent already counts."""
        account = self._accounts.show(account_of(asked), within=asked.within)
        set_before = self._current(account.id, asked.within)
        draft = BudgetDraft(
            account_id=account.id,
            kind="account",
            subject=account.id,
            limit_nanos=Nanos(asked.said.threshold_amount * NANOS_PER_CENT),
            period="month",
            zone="UTC" if set_before is None else set_before.zone,
            alerts=() if set_before is None else set_before.alerts,
        )
        with renamed(BUDGET_NAMES):
            figures = self._budgets.put(draft, by=asked.by, within=asked.within)
        return self._shown(figures.budget, account)

    def delete(self, asked: Asked[Nothing]) -> Removed:
        """Take the limit away."""
        account = self._accounts.show(account_of(asked), within=asked.within)
        self._budgets.remove(self._found(account, asked.within).id, by=asked.by, within=asked.within)
        return Removed(object=f"{self._level}.spend_limit.deleted")

    def _current(self, account_id: AccountId, within: AccountId) -> Budget | None:
        wanted = BudgetFilter(account_id=account_id, kind="account", subject=account_id, period="month")
        page = self._budgets.page(wanted, Cursor(limit=1), within=within)
        return page.items[0].budget if page.items else None

    def _found(self, account: Account, within: AccountId) -> Budget:
        budget = self._current(account.id, within)
        if budget is None:
            raise NotFound(f"The account {account.id} has no spend limit.", code="spend_limit_not_found")
        return budget

    def _shown(self, budget: Budget, account: Account) -> wire.SpendLimit:
        return wire.SpendLimit(
            object="organization.spend_limit" if self._level == "organization" else "project.spend_limit",
            threshold_amount=budget.limit_nanos // NANOS_PER_CENT,
            enforcement=wire.Enforcement(status="enforcing" if account.archived_at is None else "inactive"),
        )


class Alerts:
    """Spend alerts of the organisation, or of its projects."""

    def __init__(self, level: Level, accounts: AccountStore, alerts: SpendAlerts) -> None:
        self._level: Level = level
        self._accounts = accounts
        self._alerts = alerts

    def routes(self) -> list[HTTPRouteHandler]:
        every = _place(self._level) + "/spend_alerts"
        one = every + "/{alert_id:str}"
        listed = Page[wire.SpendAlert]
        return [
            route("GET", every, self.page, asks=wire.SpendAlertsQuery, answer=listed),
            route("POST", every, self.create, asks=wire.SpendAlertUpdate, answer=wire.SpendAlert),
            route("GET", one, self.retrieve, asks=Nothing, answer=wire.SpendAlert),
            route("POST", one, self.update, asks=wire.SpendAlertUpdate, answer=wire.SpendAlert),
            route("DELETE", one, self.delete, asks=Nothing, answer=Deleted),
        ]

    def page(self, asked: Asked[wire.SpendAlertsQuery]) -> Page[wire.SpendAlert]:
        """The spend alerts."""
        said = asked.said
        cursor = cursor_of(said.after, said.before, limit=said.limit, order=said.order)
        found = self._alerts.page(account_of(asked), cursor, within=asked.within)
        return page_of(map(self._shown, found.items), has_more=found.has_more)

    def create(self, asked: Asked[wire.SpendAlertUpdate]) -> wire.SpendAlert:
        """Have people told when so much was spent in a month of UTC."""
        with renamed(ALERT_NAMES):
            return self._shown(self._alerts.create(_draft(asked), by=asked.by, within=asked.within))

    def retrieve(self, asked: Asked[Nothing]) -> wire.SpendAlert:
        """One spend alert."""
        return self._shown(self._found(asked))

    def update(self, asked: Asked[wire.SpendAlertUpdate]) -> wire.SpendAlert:
        """Change a spend alert."""
        found = self._found(asked)
        with renamed(ALERT_NAMES):
            return self._shown(self._alerts.update(found.id, _draft(asked), by=asked.by, within=asked.within))

    def delete(self, asked: Asked[Nothing]) -> Deleted:
        """Delete a spend alert."""
        found = self._found(asked)
        self._alerts.delete(found.id, by=asked.by, within=asked.within)
        return Deleted(object=f"{self._level}.spend_alert.deleted", id=found.id)

    def _found(self, asked: Asked[Any]) -> SpendAlert:
        account_id = account_of(asked)
        self._accounts.show(account_id, within=asked.within)
        found = self._alerts.show(asked.ids["alert_id"], within=asked.within)
        if found.account_id != account_id:
            raise unknown("spend_alert", asked.ids["alert_id"])
        return found

    def _shown(self, alert: SpendAlert) -> wire.SpendAlert:
        return wire.SpendAlert(
            object="organization.spend_alert" if self._level == "organization" else "project.spend_alert",
            id=alert.id,
            threshold_amount=alert.threshold_nanos // NANOS_PER_CENT,
            notification_channel=wire.NotificationChannel(
                type="email", recipients=list(alert.recipients), subject_prefix=alert.subject_prefix
            ),
        )


class RateLimitRoutes:
    """`models` are the ids and aliases that can be called; a limit that was set for another one is shown as well."""

    def __init__(self, accounts: AccountStore, models: Callable[[], Sequence[str]]) -> None:
        self._accounts = accounts
        self._models = models

    def routes(self) -> list[HTTPRouteHandler]:
        every, one = PROJECT + "/rate_limits", PROJECT + "/rate_limits/{rate_limit_id:str}"
        return [
            route("GET", every, self.page, asks=wire.RateLimitsQuery, answer=Page[wire.RateLimit]),
            route("POST", one, self.update, asks=wire.RateLimitUpdate, answer=wire.RateLimit),
        ]

    def page(self, asked: Asked[wire.RateLimitsQuery]) -> Page[wire.RateLimit]:
        """How much of each model a project may use, and of all together (`*`)."""
        said = asked.said
        limits = [_rate_limit(rates) for rates in self._all(asked.project_id, asked.within).values()]
        cursor = cursor_of(said.after, said.before, limit=said.limit)
        return _cut(limits, cursor)

    def update(self, asked: Asked[wire.RateLimitUpdate]) -> wire.RateLimit:
        """Change how much of a model a project may use."""
        known = self._all(asked.project_id, asked.within)
        rates = known.get(asked.ids["rate_limit_id"])
        if rates is None:
            raise unknown("rate_limit", asked.ids["rate_limit_id"])
        said: dict[str, int] = {
            RATES[name]: value for name, value in msgspec.structs.asdict(asked.said).items() if value is not UNSET
        }
        changed = {ours: None if value >= NO_LIMIT else value for ours, value in said.items()}
        with renamed(RATE_NAMES):
            written = self._accounts.set_rates(
                asked.project_id, msgspec.structs.replace(rates, **changed), by=asked.by, within=asked.within
            )
        return _rate_limit(written)

    def _all(self, project_id: str, within: AccountId) -> dict[str, RateLimits]:
        """By the id of the limit: all models together first, then each by name."""
        set_rates = {rates.model: rates for rates in self._accounts.rates(project_id, within=within)}
        names = sorted({*self._models(), *set_rates} - {EVERY_MODEL})
        return {_rate_limit_id(name): set_rates.get(name, RateLimits(model=name)) for name in (EVERY_MODEL, *names)}


class ModelPermissionRoutes:
    def __init__(self, accounts: AccountStore) -> None:
        self._accounts = accounts

    def routes(self) -> list[HTTPRouteHandler]:
        path, answer = PROJECT + "/model_permissions", wire.ModelPermissions
        return [
            route("GET", path, self.retrieve, asks=Nothing, answer=answer),
            route("POST", path, self.update, asks=wire.ModelPermissionsUpdate, answer=answer),
            route("DELETE", path, self.delete, asks=Nothing, answer=Removed),
        ]

    def retrieve(self, asked: Asked[Nothing]) -> wire.ModelPermissions:
        """Which models a project may use."""
        return permissions_of(self._accounts.show(asked.project_id, within=asked.within).models)

    def update(self, asked: Asked[wire.ModelPermissionsUpdate]) -> wire.ModelPermissions:
        """Say which models a project may use, or may not. What the accounts above it may not use stays closed."""
        change = AccountChange(models=globs_of(asked.said))
        with renamed({"models": "model_ids"}):
            changed = self._accounts.update(asked.project_id, change, by=asked.by, within=asked.within)
        return permissions_of(changed.models)

    def delete(self, asked: Asked[Nothing]) -> Removed:
        """Let a project use every model that the accounts above it may use."""
        self._accounts.update(asked.project_id, AccountChange(models=()), by=asked.by, within=asked.within)
        return Removed(object="project.model_permissions.deleted")


def account_of(asked: Asked[Any]) -> AccountId:
    """The account that a route of either level is about."""
    return AccountId(asked.ids.get("project_id", asked.within))


def globs_of(said: wire.ModelPermissionsUpdate) -> tuple[str, ...]:
    """How an account keeps them. Raises InvalidRequest, naming the id."""
    for place, model_id in enumerate(said.model_ids):
        if model_id.startswith("!"):
            raise InvalidRequest(f"{model_id!r} is no model id; use the mode deny_list.", param=f"model_ids[{place}]")
    if said.mode == "deny_list":
        return tuple("!" + model_id for model_id in said.model_ids)
    # No glob at all would allow every model.
    return tuple(said.model_ids) or (NO_MODEL,)


def permissions_of(globs: tuple[str, ...]) -> wire.ModelPermissions:
    """None set is a list of nothing that is denied. An account that names models and takes some of them away again, as
    other interfaces can, is shown as the list of what it may use, those taken away with a `!`."""
    if globs == (NO_MODEL,):
        return wire.ModelPermissions(mode="allow_list", model_ids=())
    if all(glob.startswith("!") for glob in globs):
        return wire.ModelPermissions(mode="deny_list", model_ids=tuple(glob[1:] for glob in globs))
    return wire.ModelPermissions(mode="allow_list", model_ids=globs)


def _place(level: Level) -> str:
    return PREFIX if level == "organization" else PROJECT


def _draft(asked: Asked[wire.SpendAlertUpdate]) -> SpendAlertDraft:
    channel = asked.said.notification_channel
    return SpendAlertDraft(
        account_id=account_of(asked),
        threshold_nanos=Nanos(asked.said.threshold_amount * NANOS_PER_CENT),
        recipients=tuple(channel.recipients),
        subject_prefix=channel.subject_prefix,
    )


def _rate_limit_id(model: str) -> str:
    """A slash in a path would part it."""
    return "rl-" + model.replace("/", "~")


def _rate_limit(rates: RateLimits) -> wire.RateLimit:
    set_limits = {theirs: getattr(rates, ours) for theirs, ours in RATES.items()}
    shown = {name: value for name, value in set_limits.items() if value is not None}
    return wire.RateLimit(
        id=_rate_limit_id(rates.model), model=rates.model, **{**dict.fromkeys(ALWAYS_SHOWN, NO_LIMIT), **shown}
    )


def _cut(limits: list[wire.RateLimit], cursor: Cursor) -> Page[wire.RateLimit]:
    """Raises InvalidRequest for a cursor that is not the id of a limit."""
    first, last = 0, len(limits)
    for place, limit in enumerate(limits):
        if limit.id == cursor.after:
            first = place + 1
        if limit.id == cursor.before:
            last = place
    for name in ("after", "before"):
        mark = getattr(cursor, name)
        if mark is not None and not any(limit.id == mark for limit in limits):
            raise InvalidRequest(f"{name} is not the id of a rate limit of this project.", param=name)
    if cursor.before is not None:
        start = max(first, last - cursor.limit)
        return page_of(limits[start:last], has_more=start > first)
    end = min(last, first + cursor.limit)
    return page_of(limits[first:end], has_more=end < last)
