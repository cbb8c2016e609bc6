"""`/v1/balance`: what may still be spent, out of credit and under caps; and what is paid in and taken out."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from trunkline.errors import InvalidRequest
from trunkline.http.admin import KEY, MANAGE
from trunkline.http.budgets import card
from trunkline.http.described import Call, described, read_body, read_query, reply
from trunkline.http.renaming import renamed
from trunkline.http.standing import actor, caller
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.policy import keys as key_policy
from trunkline.ports.accounts import AccountStore
from trunkline.ports.audit import Actor
from trunkline.ports.budget_store import BudgetFigures, BudgetFilter, BudgetStore
from trunkline.ports.budgets import ScopeKind
from trunkline.ports.credit import Balance as Wallet
from trunkline.ports.credit import CreditDraft, CreditEntry, CreditStore
from trunkline.ports.keys import KeyRecord
from trunkline.ports.pages import MOST_ITEMS, Cursor
from trunkline.wire.aigateway import Balance, Credit, CreditReceipt, CreditRequest
from trunkline.wire.amounts import cents, dollars, from_cents, from_dollars

EVERYTHING: Final = Cursor(limit=MOST_ITEMS)


class BalanceAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account_id`: an account below the key's, by a key that may read there."""

    account_id: str | None = None


class Purse:
    """Blocking: what an account or a key can still spend."""

    def __init__(self, accounts: AccountStore, budgets: BudgetStore, credit: CreditStore) -> None:
        self._accounts = accounts
        self._budgets = budgets
        self._credit = credit

    def of_key(self, record: KeyRecord) -> Balance:
        """Under its own caps and its account's."""
        own = self._caps("key", record.key_id, record.account_id)
        return self._balance(record.account_id, own, key_policy.reach(record))

    def of_account(self, account_id: str, within: AccountId) -> Balance:
        """Raises NotFound."""
        return self._balance(self._accounts.show(account_id, within=within).id, [], within)

    def _balance(self, account_id: AccountId, own: list[BudgetFigures], within: AccountId) -> Balance:
        """What stands further up than the caller sees is not told, only that it is there."""
        caps = list(own)
        for account in self._accounts.ancestors(account_id, within=within):
            caps += self._caps("account", account.id, account.id)
        further = self._accounts.ancestors(within, within=ROOT_ACCOUNT)[1:]
        wallet = self._credit.balance(account_id, within=within)
        bounds = [one.remaining_nanos for one in caps]
        if wallet.account_id is not None:
            bounds.append(wallet.free_nanos)
        left = min(bounds, default=None)
        return Balance(
            account_id=account_id,
            balance_cents=cents(left if wallet.account_id is None else wallet.credit_nanos - wallet.spent_nanos),
            available_cents=cents(left),
            available_usd=dollars(left),
            bounded_above=wallet.is_above or any(self._caps("account", one.id, one.id) for one in further),
            credit=_credit(wallet),
            caps=[card(one) for one in caps],
        )

    def _caps(self, kind: ScopeKind, subject: str, account_id: AccountId) -> list[BudgetFigures]:
        wanted = BudgetFilter(account_id=account_id, kind=kind, subject=subject)
        return list(self._budgets.page(wanted, EVERYTHING, within=account_id).items)


def _credit(wallet: Wallet) -> Credit:
    total, spent, held, free = wallet.total_nanos, wallet.spent_nanos, wallet.held_nanos, wallet.free_nanos
    figures = [None if wallet.account_id is None else nanos for nanos in (total, spent, held, free)]
    total_usd, spent_usd, held_usd, available_usd = map(dollars, figures)
    return Credit(
        account_id=wallet.account_id,
        total_usd=total_usd,
        spent_usd=spent_usd,
        held_usd=held_usd,
        available_usd=available_usd,
    )


def balance_routes(purse: Purse, credit: CreditStore) -> list[HTTPRouteHandler]:
    @get(
        "/v1/balance",
        opt=KEY,
        tags=["credit"],
        summary="What the key may still spend: credit, what is gone of it, caps and when they begin anew.",
        operation_class=described(Balance, query=BalanceAsked),
    )
    async def read_balance(request: Call) -> Response[bytes]:
        record, wanted = caller(request), read_query(request, BalanceAsked)
        if wanted.account_id is None or wanted.account_id == record.account_id:
            return reply(await asyncio.to_thread(purse.of_key, record))
        key_policy.require(record, "read")
        within = key_policy.reach(record)
        return reply(await asyncio.to_thread(purse.of_account, wanted.account_id, within))

    async def move(request: Call, change: Change) -> Response[bytes]:
        wanted, by = await read_body(request, CreditRequest), actor(request)
        within = key_policy.reach(caller(request))
        account_id = wanted.account_id or by.account_id

        def work() -> CreditReceipt:
            name, draft = draft_of(wanted)
            with renamed({"amount": name, "entry_id": "id"}):
                entry = change(account_id, draft, by=by, within=within)
            return receipt(entry, credit.balance(account_id, within=within).free_nanos)

        return reply(await asyncio.to_thread(work))

    @post(
        "/v1/balance/top-up",
        status_code=200,
        opt=MANAGE,
        tags=["credit"],
        summary="Give an account credit. An admin's key makes it; another moves it from the nearest credit above.",
        operation_class=described(CreditReceipt, body=CreditRequest),
    )
    async def top_up(request: Call) -> Response[bytes]:
        return await move(request, credit.top_up)

    @post(
        "/v1/balance/debit",
        status_code=200,
        opt=MANAGE,
        tags=["credit"],
        summary="Take credit back that is free.",
        operation_class=described(CreditReceipt, body=CreditRequest),
    )
    async def debit(request: Call) -> Response[bytes]:
        return await move(request, credit.debit)

    return [read_balance, top_up, debit]


class Change(Protocol):
    """A top-up or a debit of ports.credit.CreditStore."""

    def __call__(self, account_id: str, entry: CreditDraft, *, by: Actor, within: AccountId) -> CreditEntry: ...


def draft_of(wanted: CreditRequest) -> tuple[str, CreditDraft]:
    """With the name of the field that the amount came in. Raises InvalidRequest."""
    if (wanted.amount_usd is None) == (wanted.amount_cents is None):
        raise InvalidRequest("Give amount_usd or amount_cents, one of them.", param="amount_usd")
    if wanted.amount_cents is not None:
        name, nanos = "amount_cents", from_cents(wanted.amount_cents, "amount_cents")
    else:
        assert wanted.amount_usd is not None
        name, nanos = "amount_usd", from_dollars(wanted.amount_usd, "amount_usd")
    if nanos == 0:
        raise InvalidRequest(f"{name} is above 0.", param=name)
    return name, CreditDraft(entry_id=wanted.id, amount_nanos=nanos, note=wanted.note)


def receipt(entry: CreditEntry, free_nanos: int) -> CreditReceipt:
    return CreditReceipt(
        id=entry.id,
        account_id=entry.account_id,
        amount_cents=cents(entry.amount_nanos),
        amount_usd=dollars(entry.amount_nanos),
        note=entry.note,
        created_at=entry.created_at,
        balance_usd=dollars(free_nanos),
    )
