"""Where budgets are kept. A scope has one budget for each period: whoever writes last has set it, and it is audited.

OpenAI's `spend_limit`, `spend_cap_cents` and `max_budget` are views of such a row. `within` and `by` are as in
ports.accounts.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.ids import AccountId
from trunkline.money import Nanos
from trunkline.ports.audit import Actor
from trunkline.ports.budgets import Budget, Period, ScopeKind
from trunkline.ports.pages import Cursor, Page


class BudgetDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A budget that is to be. `subject` as in Budget; `account_id` is the key's account, the account itself, or the
    account whose subtree's calls a tag, end user or model is counted in. `alerts`: percent, each 1 to 100."""

    account_id: str
    kind: ScopeKind
    subject: str
    limit_nanos: Nanos
    period: Period = "never"
    zone: str = "UTC"
    alerts: tuple[int, ...] = ()


class BudgetFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A budget and where it stands in the period that is now. `held_nanos`: what calls under way may still spend and
    what processes keep ready for more. `remaining_nanos` is never negative. `resets_at`: Unix seconds, None is never.
    """

    budget: Budget
    spent_nanos: int
    held_nanos: int
    remaining_nanos: int
    resets_at: float | None


class BudgetFilter(msgspec.Struct, frozen=True, kw_only=True):
    """None means any. `account_id`: that account's alone, else all of the subtree."""

    account_id: str | None = None
    kind: ScopeKind | None = None
    subject: str | None = None
    period: Period | None = None


class BudgetStore(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer, NotFound
    (`budget_not_found`, `account_not_found`, `key_not_found`) outside `within`, InvalidRequest with `param`.

    The budget of an account is set by whoever stands above it: the root's owner, or an actor of an account further up;
    that of a key by anyone who manages its account, but not with the key itself; others by anyone who manages the
    account. What an actor of an account further up has set for an account is not changed by actors of that account
    itself. Forbidden (`above_only`).
    """

    def put(self, draft: BudgetDraft, *, by: Actor, within: AccountId) -> BudgetFigures:
        """Make it, or change the one of that scope and period; what is spent and its id stay. A limit below what is
        spent refuses what comes next. Running processes follow within a second.

        Raises InvalidRequest (`over_parent`) for a limit above that of its account, or of one further up, for the same
        period.
        """
        ...

    def remove(self, budget_id: str, *, by: Actor, within: AccountId) -> Budget:
        """No limit any more. One that is put for the same scope and a day, week or month goes on with what was spent
        under this one."""
        ...

    def show(self, budget_id: str, *, within: AccountId) -> BudgetFigures: ...

    def page(self, wanted: BudgetFilter, cursor: Cursor, *, within: AccountId) -> Page[BudgetFigures]:
        """Those in force, in the order in which they were made. A scope and a period give one or none."""
        ...
