"""All that is kept of tenants, opened on one database, and the few steps that most tests begin with."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update

from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.money import Nanos
from trunkline.policy.keys import KeyShape
from trunkline.ports.accounts import Account, AccountDraft
from trunkline.ports.audit import Actor, AuditFilter
from trunkline.ports.budget_store import BudgetDraft
from trunkline.ports.budgets import Budget
from trunkline.ports.credit import CreditDraft
from trunkline.ports.pages import Cursor
from trunkline.storage.accounts import SqlAccountStore
from trunkline.storage.audit import SqlAuditLog
from trunkline.storage.budgets import SqlBudgetStore
from trunkline.storage.credits import SqlCreditStore
from trunkline.storage.database import Database
from trunkline.storage.keys import SqlKeys
from trunkline.storage.live_keys import SqlKeyStore
from trunkline.storage.money_schema import holders, leases, pots
from trunkline.storage.service_accounts import SqlServiceAccounts
from trunkline.storage.spend_alerts import SqlSpendAlerts
from trunkline.storage.tenancy import SqlTenancyStore
from trunkline.storage.users import SqlUserStore

USD = 1_000_000_000


class House:
    def __init__(self, database: Database, pepper: bytes) -> None:
        self.database = database
        self.serving = SqlKeyStore(database)
        self.keys = SqlKeys(database, pepper, KeyShape("sk-tl"))
        self.accounts = SqlAccountStore(database)
        self.service_accounts = SqlServiceAccounts(database, self.keys)
        self.budgets = SqlBudgetStore(database)
        self.credit = SqlCreditStore(database)
        self.spend_alerts = SqlSpendAlerts(database)
        self.users = SqlUserStore(database)
        self.audit = SqlAuditLog(database)
        self.tenancy = SqlTenancyStore(database)

    def account(self, name: str, parent_id: AccountId = ROOT_ACCOUNT) -> Account:
        return self.accounts.create(AccountDraft(name=name, parent_id=parent_id))

    def manager(self, account_id: AccountId, key_id: str = "key_manager") -> Actor:
        """Somebody of that account who manages it."""
        return Actor(kind="key", id=key_id, account_id=account_id, role="admin")

    def budget(self, account_id: AccountId, limit_nanos: int, **more: Any) -> Budget:
        """The account's own."""
        draft = BudgetDraft(
            account_id=account_id, kind="account", subject=account_id, limit_nanos=Nanos(limit_nanos), **more
        )
        return self.budgets.put(draft).budget

    def pay_in(self, account_id: AccountId, nanos: int, entry_id: str = "paid") -> None:
        self.credit.top_up(account_id, CreditDraft(entry_id=entry_id, amount_nanos=Nanos(nanos)))

    def events(self, **wanted: Any) -> list[str]:
        found = self.audit.page(AuditFilter(**wanted), Cursor(limit=1000), within=ROOT_ACCOUNT)
        return [record.type for record in found.items]

    def lease(self, source: str, granted: int, spent: int = 0, **more: Any) -> int:
        """A pot of the source with a process's lease on it, as calls leave them behind: the lease's id."""
        row = {
            "account_id": self._owner(source),
            "source": source,
            "period_start": 0.0,
            "limit_nanos": 10**18,
            "spent_nanos": spent,
            "leased_nanos": granted,
            "alerts": "[]",
            "alerted": 0,
        }
        holder = {"slot": 1, "pid": 1, "state": "live", "started_at": 0.0, "expires_at": 1e12, "oldest_number": 0}
        with self.database.writing() as connection:
            made = insert(holders).values(holder).returning(holders.c.holder_id)
            holder_id = connection.execute(made).scalar_one()
            pot_id = connection.execute(insert(pots).values({**row, **more}).returning(pots.c.pot_id)).scalar_one()
            lease = {"pot_id": pot_id, "holder_id": holder_id, "epoch": 1, "state": "live", "granted_nanos": granted}
            lease_id: int = connection.execute(insert(leases).values(lease).returning(leases.c.lease_id)).scalar_one()
        return lease_id

    def spend(self, source: str, nanos: int) -> None:
        """As settled calls would."""
        with self.database.writing() as connection:
            connection.execute(
                update(pots).where(pots.c.source == source).values(spent_nanos=pots.c.spent_nanos + nanos)
            )

    def lease_state(self, lease_id: int) -> str:
        with self.database.reading() as connection:
            state: str = connection.execute(select(leases.c.state).where(leases.c.lease_id == lease_id)).scalar_one()
            return state

    def limit_of(self, source: str) -> int:
        with self.database.reading() as connection:
            limit: int = connection.execute(select(pots.c.limit_nanos).where(pots.c.source == source)).scalar_one()
            return limit

    def _owner(self, source: str) -> str:
        if source.startswith("wallet:"):
            return source.removeprefix("wallet:")
        return self.budgets.show(source).budget.account_id
