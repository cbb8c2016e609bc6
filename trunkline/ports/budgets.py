"""Budgets and prepaid credit, and the leases that processes take on them.

A *budget* is a limit of a scope in a period. A *pot* is what is counted for it in one period: spent, leased, left; the
credit of an account is a pot as well, without a period. A *lease* is the slice of a pot that one process may hold from.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.ids import AccountId
from trunkline.money import Nanos

ScopeKind = Literal["key", "account", "tag", "end_user", "model"]
Period = Literal["never", "day", "week", "month"]
WALLET = "wallet:"
"""How the source of an account's credit begins; its id follows."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`subject`: the id of the key or account; the tag; the end user; the model's id or alias, as a glob.

    A tag's, end user's or model's budget counts the calls of `account_id` and of all accounts below it. `zone` is the
    IANA name of the days' zone. `alerts`: percent of the limit at which somebody wants to know.
    """

    id: str
    account_id: AccountId
    kind: ScopeKind
    subject: str
    limit_nanos: Nanos
    period: Period = "never"
    zone: str = "UTC"
    alerts: tuple[int, ...] = ()
    created_at: int = 0


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """`source`: a budget's id, or WALLET and an account's. `at_least` is what a call needs now; `exact`: no more than
    that, as another process has asked for what is idle."""

    source: str
    at_least: int
    exact: bool = False


class Leased(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the store says of one Wanted. `granted_nanos` were added to the lease, 0 when the call does not fit.

    `spent_nanos` and `leased_nanos` are the pot's, of all processes and with this grant. `others` are the slots of the
    live processes that have a lease on it too. Times are Unix seconds; `period_end` is None for a pot that never ends.
    """

    source: str
    pot_id: int
    lease_id: int
    epoch: int
    granted_nanos: int
    limit_nanos: int
    spent_nanos: int
    leased_nanos: int
    period_start: float
    period_end: float | None
    others: tuple[int, ...] = ()
