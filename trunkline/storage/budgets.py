"""Budgets on the database. What is counted for them is in pots, which storage/leases.py keeps."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from trunkline import clock
from trunkline.errors import Forbidden, InvalidRequest, NotFound
from trunkline.ids import ROOT_ACCOUNT, AccountId, random_base62
from trunkline.money import usd_text
from trunkline.policy.periods import check_zone, period_bounds
from trunkline.policy.roles import is_operator, require_above, require_other_key
from trunkline.ports.audit import CLI, Actor
from trunkline.ports.budget_store import BudgetDraft, BudgetFigures, BudgetFilter
from trunkline.ports.budgets import Budget
from trunkline.ports.pages import Cursor, Page
from trunkline.storage import leases, limits
from trunkline.storage.changes import Change, changing
from trunkline.storage.database import Database
from trunkline.storage.money_schema import budgets, pots
from trunkline.storage.paging import page
from trunkline.storage.schema import keys
from trunkline.storage.subtree import Found, is_below, is_id, require_account, require_live_account, upwards
from trunkline.storage.tenant_schema import audit_log
from trunkline.storage.values import LONGEST_GLOB, MOST_NANOS, checked_tag
from trunkline.wire import codec

MOST_ALERTS: Final = 20
LONGEST_END_USER: Final = 256
_percents = msgspec.json.Decoder(tuple[int, ...])
_ORDER = (budgets.c.created_at, budgets.c.budget_id)
_IN_FORCE = budgets.c.ended_at.is_(None)


class SqlBudgetStore:
    """Fulfils ports.budget_store.BudgetStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, draft: BudgetDraft, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> BudgetFigures:
        with changing(self._database, by, within) as change:
            budget = put_budget(change, draft)
            return _figures(change.connection, [budget], change.now_s)[0]

    def remove(self, budget_id: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> Budget:
        with changing(self._database, by, within) as change:
            budget = _require_budget(change.connection, budget_id, within)
            _require_authority(by, budget)
            _refuse_set_above(change, budget)
            change.connection.execute(_at(budget).values(ended_at=change.now_s))
            leases.fence(change.connection, budget.id)
            change.audit("budget.deleted", budget.account_id, budget.id, before=shown(budget))
            change.concerns_calls = True
        return budget

    def show(self, budget_id: str, *, within: AccountId = ROOT_ACCOUNT) -> BudgetFigures:
        with self._database.reading() as connection:
            budget = _require_budget(connection, budget_id, within)
            return _figures(connection, [budget], clock.now_s())[0]

    def page(self, wanted: BudgetFilter, cursor: Cursor, *, within: AccountId = ROOT_ACCOUNT) -> Page[BudgetFigures]:
        listed = select(budgets).where(_IN_FORCE)
        for column, value in (
            (budgets.c.kind, wanted.kind),
            (budgets.c.subject, wanted.subject),
            (budgets.c.period, wanted.period),
        ):
            if value is not None:
                listed = listed.where(column == value)
        with self._database.reading() as connection:
            if wanted.account_id is None:
                listed = listed.where(is_below(budgets.c.account_id, within))
            else:
                require_account(connection, wanted.account_id, within=within)
                listed = listed.where(budgets.c.account_id == wanted.account_id)
            found = page(connection, listed, cursor, _ORDER, budget_of)
            figures = _figures(connection, list(found.items), clock.now_s())
        return Page(items=tuple(figures), has_more=found.has_more)


def put_budget(change: Change, draft: BudgetDraft) -> Budget:
    """Make it, or change the one of that scope and period, within somebody's change."""
    connection = change.connection
    _check(draft)
    way = require_live_account(connection, draft.account_id, within=change.within)
    wanted = _drafted(connection, draft, change.now_s)
    _require_authority(change.by, wanted)
    capped_by = way[1:] if draft.kind == "account" else way
    limits.refuse_above(connection, [row.account_id for row in capped_by], draft.period, draft.limit_nanos)
    found = _of_scope(connection, wanted)
    if found is None:
        connection.execute(insert(budgets).values(**_row(wanted), created_at=change.now_s))
        change.audit("budget.created", wanted.account_id, wanted.id, after=shown(wanted))
        change.concerns_calls = True
        return wanted
    before = budget_of(found)
    if found.ended_at is None:
        _refuse_set_above(change, before)
    after = msgspec.structs.replace(wanted, id=before.id, created_at=before.created_at)
    connection.execute(_at(before).values(**_row(after), ended_at=None))
    leases.set_limit(connection, before.id, after.limit_nanos)
    connection.execute(update(pots).where(pots.c.source == before.id).values(alerts=_row(after)["alerts"]))
    if found.ended_at is not None:
        change.audit("budget.created", after.account_id, after.id, after=shown(after))
    elif before != after:
        change.audit("budget.updated", after.account_id, after.id, shown(before), shown(after))
    else:
        return after
    change.concerns_calls = True
    return after


def budget_of(row: Row[*tuple[Any, ...]]) -> Budget:
    return Budget(
        id=row.budget_id,
        account_id=row.account_id,
        kind=row.kind,
        subject=row.subject,
        limit_nanos=row.limit_nanos,
        period=row.period,
        zone=row.zone,
        alerts=() if row.alerts == "[]" else _percents.decode(row.alerts),
        created_at=int(row.created_at),
    )


def shown(budget: Budget) -> dict[str, Any]:
    """As the audit log has it."""
    return {**msgspec.structs.asdict(budget), "limit_usd": usd_text(budget.limit_nanos)}


def _check(draft: BudgetDraft) -> None:
    """Raises InvalidRequest."""
    if not 0 <= draft.limit_nanos <= MOST_NANOS:
        raise InvalidRequest(f"A budget is 0 to {usd_text(MOST_NANOS)} USD.", param="limit")
    check_zone(draft.zone)
    if len(draft.alerts) > MOST_ALERTS or any(not 1 <= percent <= 100 for percent in draft.alerts):
        raise InvalidRequest(f"There are at most {MOST_ALERTS} alerts, each 1 to 100 percent.", param="alerts")


def _drafted(connection: Connection, draft: BudgetDraft, now_s: float) -> Budget:
    """Raises InvalidRequest, NotFound for a subject that does not fit the kind."""
    subject = draft.subject
    match draft.kind:
        case "account":
            if subject != draft.account_id:
                raise InvalidRequest("The subject of an account's budget is the account.", param="subject")
        case "key":
            its = (keys.c.key_id == subject, keys.c.account_id == draft.account_id)
            if not is_id(subject) or connection.execute(select(keys.c.key_id).where(*its)).first() is None:
                raise NotFound("The account has no key of that id.", code="key_not_found", param="subject")
        case "tag":
            checked_tag(subject, "subject")
        case "end_user" | "model":
            longest = LONGEST_END_USER if draft.kind == "end_user" else LONGEST_GLOB
            if not 0 < len(subject) <= longest or not subject.isprintable():
                raise InvalidRequest(f"The subject is 1 to {longest} printable characters.", param="subject")
    return Budget(
        id="bud_" + random_base62(16),
        account_id=AccountId(draft.account_id),
        kind=draft.kind,
        subject=subject,
        limit_nanos=draft.limit_nanos,
        period=draft.period,
        zone=draft.zone,
        alerts=tuple(sorted(set(draft.alerts))),
        created_at=int(now_s),
    )


def _require_authority(by: Actor, budget: Budget) -> None:
    """Raises Forbidden."""
    if budget.kind == "account":
        require_above(by, budget.account_id)
    elif budget.kind == "key":
        require_other_key(by, budget.subject)


def _refuse_set_above(change: Change, budget: Budget) -> None:
    """Raises Forbidden for a budget of the actor's own account that was set by an actor of an account above it."""
    if is_operator(change.by) or budget.account_id != change.by.account_id:
        return
    last = select(audit_log.c.actor_account_id).where(audit_log.c.target_id == budget.id)
    setter = change.connection.execute(last.order_by(audit_log.c.audit_id.desc()).limit(1)).scalar_one_or_none()
    above = upwards(change.connection, change.by.account_id)[1:]
    if setter in {row.account_id for row in above}:
        raise Forbidden("This budget was set from above the account, and is changed there.", code="above_only")


def _of_scope(connection: Connection, budget: Budget) -> Found | None:
    """The one in force. Else, for a period that comes again, the last that there was, so that taking a budget away and
    putting it back forgets nothing of what was spent."""
    its = (
        budgets.c.account_id == budget.account_id,
        budgets.c.kind == budget.kind,
        budgets.c.subject == budget.subject,
        budgets.c.period == budget.period,
    )
    found = connection.execute(select(budgets).where(*its, _IN_FORCE)).one_or_none()
    if found is None and budget.period != "never":
        found = connection.execute(select(budgets).where(*its).order_by(budgets.c.ended_at.desc()).limit(1)).first()
    return found


def _require_budget(connection: Connection, budget_id: str, within: AccountId) -> Budget:
    its = (budgets.c.budget_id == budget_id, _IN_FORCE, is_below(budgets.c.account_id, within))
    row = connection.execute(select(budgets).where(*its)).one_or_none() if is_id(budget_id) else None
    if row is None:
        raise NotFound("There is no budget of that id.", code="budget_not_found", param="budget")
    return budget_of(row)


def _figures(connection: Connection, wanted: list[Budget], now_s: float) -> list[BudgetFigures]:
    found = leases.figures(connection, [budget.id for budget in wanted], now_s)
    figures = []
    for budget in wanted:
        pot = found.get(budget.id)
        spent, held = (0, 0) if pot is None else (pot.spent_nanos, pot.leased_nanos)
        end = period_bounds(budget.period, budget.zone, now_s)[1] if pot is None else pot.period_end
        left = max(0, budget.limit_nanos - spent - held)
        figures.append(
            BudgetFigures(budget=budget, spent_nanos=spent, held_nanos=held, remaining_nanos=left, resets_at=end)
        )
    return figures


def _at(budget: Budget) -> Any:
    return update(budgets).where(budgets.c.account_id == budget.account_id, budgets.c.budget_id == budget.id)


def _row(budget: Budget) -> dict[str, Any]:
    return {
        "account_id": budget.account_id,
        "budget_id": budget.id,
        "kind": budget.kind,
        "subject": budget.subject,
        "period": budget.period,
        "zone": budget.zone,
        "limit_nanos": budget.limit_nanos,
        "alerts": codec.encode(budget.alerts).decode(),
    }
