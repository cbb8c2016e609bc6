"""Prepaid credit on the database: entries that only ever add up, and the wallet whose limit is their sum."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, case, func, insert, select

from trunkline import clock
from trunkline.errors import InvalidRequest
from trunkline.ids import ROOT_ACCOUNT, AccountId, random_base62
from trunkline.money import Nanos, usd_text
from trunkline.policy.roles import is_operator, require_above
from trunkline.ports.audit import CLI, Actor
from trunkline.ports.budgets import WALLET
from trunkline.ports.credit import Balance, CreditDraft, CreditEntry
from trunkline.ports.pages import Cursor, Page
from trunkline.storage import leases
from trunkline.storage.changes import Change, changing
from trunkline.storage.database import Database
from trunkline.storage.money_schema import credit_entries
from trunkline.storage.paging import page
from trunkline.storage.subtree import Found, is_id, require_account, require_live_account
from trunkline.storage.values import MOST_NANOS, checked_note

_ORDER = (credit_entries.c.created_at, credit_entries.c.credit_id)


class SqlCreditStore:
    """Fulfils ports.credit.CreditStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def top_up(
        self, account_id: str, entry: CreditDraft, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> CreditEntry:
        return self._book(account_id, entry, 1, by, within)

    def debit(
        self, account_id: str, entry: CreditDraft, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> CreditEntry:
        return self._book(account_id, entry, -1, by, within)

    def balance(self, account_id: str, *, within: AccountId = ROOT_ACCOUNT) -> Balance:
        with self._database.reading() as connection:
            way = [row.account_id for row in require_account(connection, account_id, within=within)]
            payer = _paying(connection, way)
            if payer is None:
                return Balance(account_id=None)
            if way.index(payer) > way.index(within):
                return Balance(account_id=None, is_above=True)
            return _balance(connection, AccountId(payer))

    def page(self, account_id: str, cursor: Cursor, *, within: AccountId = ROOT_ACCOUNT) -> Page[CreditEntry]:
        with self._database.reading() as connection:
            require_account(connection, account_id, within=within)
            listed = select(credit_entries).where(credit_entries.c.account_id == account_id)
            return page(connection, listed, cursor, _ORDER, _entry)

    def _book(self, account_id: str, draft: CreditDraft, sign: int, by: Actor, within: AccountId) -> CreditEntry:
        _check(draft)
        with changing(self._database, by, within) as change:
            # What is left in the wallet of an account that has ended can still be taken back.
            require = require_live_account if sign > 0 else require_account
            way = require(change.connection, account_id, within=within)
            require_above(by, AccountId(account_id))
            before = _known(change.connection, account_id, draft.entry_id)
            if before is not None:
                return _same(before, sign * draft.amount_nanos)
            booked = _write(change, AccountId(account_id), draft.entry_id, sign * draft.amount_nanos, draft.note)
            other = None if is_operator(by) else _other_wallet(change, [row.account_id for row in way])
            if other is None and sign > 0 and not is_operator(by):
                raise _nothing_to_move()
            if other is not None:
                note = draft.note or f"{'to' if sign > 0 else 'from'} {account_id}"
                _write(change, other, "moved_" + random_base62(16), -sign * draft.amount_nanos, note)
            change.concerns_calls = True
        return booked


def _check(draft: CreditDraft) -> None:
    """Raises InvalidRequest."""
    if not is_id(draft.entry_id):
        raise InvalidRequest("The id of an entry is 1 to 64 printable characters.", param="entry_id")
    if not 0 < draft.amount_nanos <= MOST_NANOS:
        raise InvalidRequest(f"An amount is above 0 and at most {usd_text(MOST_NANOS)} USD.", param="amount")
    checked_note(draft.note)


def _other_wallet(change: Change, way: list[str]) -> AccountId | None:
    """Nobody but the root's owner has money but what is in the wallets already: the nearest above the account, None
    when there is none up to the root. Raises InvalidRequest for one that the actor does not see."""
    payer = _paying(change.connection, way[1:])
    if payer is None:
        return None
    if way.index(payer) > way.index(change.within):
        raise _nothing_to_move()
    return AccountId(payer)


def _nothing_to_move() -> InvalidRequest:
    return InvalidRequest("There is no credit here that could be moved.", code="credit_missing", param="amount")


def _known(connection: Connection, account_id: str, entry_id: str) -> Found | None:
    its = (credit_entries.c.account_id == account_id, credit_entries.c.credit_id == entry_id)
    return connection.execute(select(credit_entries).where(*its)).one_or_none()


def _same(before: Found, amount_nanos: int) -> CreditEntry:
    if before.amount_nanos != amount_nanos:
        raise InvalidRequest(
            "There is an entry of that id already, over another amount.", code="entry_exists", param="entry_id"
        )
    return _entry(before)


def _write(change: Change, account_id: AccountId, entry_id: str, amount_nanos: int, note: str) -> CreditEntry:
    """One entry, and the wallet's limit after it. Raises InvalidRequest when a debit takes what is not free."""
    connection = change.connection
    if amount_nanos < 0:
        free = _balance(connection, account_id).free_nanos
        if -amount_nanos > free:
            raise InvalidRequest(
                f"The account {account_id} has {usd_text(max(0, free))} USD that is neither spent nor held.",
                code="credit_missing",
                param="amount",
            )
    entry = CreditEntry(
        id=entry_id,
        account_id=account_id,
        amount_nanos=Nanos(amount_nanos),
        note=note,
        actor=change.by.id,
        created_at=int(change.now_s),
    )
    connection.execute(
        insert(credit_entries).values(
            account_id=account_id,
            credit_id=entry_id,
            amount_nanos=amount_nanos,
            note=note,
            actor=change.by.id,
            created_at=change.now_s,
        )
    )
    credit = _sums(connection, account_id)[0]
    if credit > MOST_NANOS:
        raise InvalidRequest(f"A wallet holds at most {usd_text(MOST_NANOS)} USD.", param="amount")
    leases.set_limit(connection, WALLET + account_id, credit)
    told = {**msgspec.structs.asdict(entry), "usd": usd_text(amount_nanos)}
    change.audit("credit.added" if amount_nanos > 0 else "credit.debited", account_id, entry_id, after=told)
    return entry


def _paying(connection: Connection, way: list[str]) -> str | None:
    """The nearest of them, upwards, that was ever given credit."""
    its = select(credit_entries.c.account_id).where(credit_entries.c.account_id.in_(way)).distinct()
    given = {row.account_id for row in connection.execute(its)}
    return next((account_id for account_id in way if account_id in given), None)


def _balance(connection: Connection, account_id: AccountId) -> Balance:
    source = WALLET + account_id
    pot = leases.figures(connection, [source], clock.now_s()).get(source)
    credit, total = _sums(connection, account_id)
    spent, held = (0, 0) if pot is None else (pot.spent_nanos, pot.leased_nanos)
    return Balance(
        account_id=account_id,
        credit_nanos=credit,
        spent_nanos=spent,
        held_nanos=held,
        free_nanos=credit - spent - held,
        total_nanos=total,
    )


def _sums(connection: Connection, account_id: str) -> tuple[int, int]:
    """What was paid in less what was taken out; what was paid in."""
    amount = credit_entries.c.amount_nanos
    paid_in = func.sum(case((amount > 0, amount), else_=0))
    its = select(func.sum(amount), paid_in).where(credit_entries.c.account_id == account_id)
    left, total = connection.execute(its).one()
    return int(left or 0), int(total or 0)


def _entry(row: Row[*tuple[Any, ...]]) -> CreditEntry:
    return CreditEntry(
        id=row.credit_id,
        account_id=row.account_id,
        amount_nanos=row.amount_nanos,
        note=row.note,
        actor=row.actor,
        created_at=int(row.created_at),
    )
