"""Prepaid credit: what was paid in to an account's wallet and taken out again. `within` and `by` are as in
ports.accounts.

The nearest account upwards that was ever given credit pays for a call; none of them means that it is paid later.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.ids import AccountId
from trunkline.money import Nanos
from trunkline.ports.audit import Actor
from trunkline.ports.pages import Cursor, Page


class CreditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """`amount_nanos`: above 0 a top-up, below 0 a debit. `actor`: the id of who did it. `created_at`: Unix seconds."""

    id: str
    account_id: AccountId
    amount_nanos: Nanos
    note: str
    actor: str
    created_at: int


class CreditDraft(msgspec.Struct, frozen=True, kw_only=True):
    """`amount_nanos`: above 0, for a debit too. `note`: at most 500 characters."""

    entry_id: str
    amount_nanos: Nanos
    note: str = ""


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """`account_id` is the account whose wallet pays; None, and all figures 0, when none does, or (`is_above`) one does
    that is further up than the caller sees. `credit_nanos` is what was paid in less what was taken out; `free_nanos`
    what is neither spent nor held, below 0 after an overshoot. `total_nanos` is all that was ever paid in."""

    account_id: AccountId | None
    is_above: bool = False
    credit_nanos: int = 0
    spent_nanos: int = 0
    held_nanos: int = 0
    free_nanos: int = 0
    total_nanos: int = 0


class CreditStore(Protocol):
    """Blocking calls: run them off the loop. Each raises StoreUnavailable when the database does not answer, NotFound
    (`account_not_found`) outside `within`, InvalidRequest with `param`.

    Only the root's owner makes credit out of nothing. Any other actor moves it: a top-up comes out of the nearest
    wallet above the account, and a debit goes back there; where there is none up to the root, a top-up is refused and
    what is debited is gone. An account that has ended can be debited. Forbidden (`above_only`) for an actor of the
    account itself. `entry_id` is the caller's own name for it (1 to 64 printable characters): the
    same again with the same amount changes nothing and answers as the first time, with another amount it is
    InvalidRequest (`entry_exists`).
    """

    def top_up(self, account_id: str, entry: CreditDraft, *, by: Actor, within: AccountId) -> CreditEntry:
        """Raises InvalidRequest (`credit_missing`) when the wallet above has less that is free, or there is none."""
        ...

    def debit(self, account_id: str, entry: CreditDraft, *, by: Actor, within: AccountId) -> CreditEntry:
        """Raises InvalidRequest (`credit_missing`) for more than is free."""
        ...

    def balance(self, account_id: str, *, within: AccountId) -> Balance:
        """Of the wallet that pays for the account's calls."""
        ...

    def page(self, account_id: str, cursor: Cursor, *, within: AccountId) -> Page[CreditEntry]:
        """Of that account alone, oldest first unless the cursor says otherwise."""
        ...
