"""Who may change what: nobody gives away, or touches, more than they have themselves."""

from __future__ import annotations

from typing import Final

from trunkline.errors import Forbidden
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.ports.audit import Actor, Role

_RANK: Final[dict[Role, int]] = {"viewer": 0, "member": 1, "admin": 2, "owner": 3}


def require_role(by: Actor, role: Role = "viewer") -> None:
    """Raises Forbidden unless `by` may make changes at all, and has `role` or a higher one."""
    if _RANK[by.role] < max(_RANK["admin"], _RANK[role]):
        raise Forbidden(f"This takes a higher role than {by.role!r}.", code="role_missing")


def is_operator(by: Actor) -> bool:
    """An owner of the root: there is nobody above, so there is nothing that it may not do. An owner of another account
    is one within that account alone."""
    return by.role == "owner" and by.account_id == ROOT_ACCOUNT


def require_above(by: Actor, account_id: AccountId) -> None:
    """Raises Forbidden when `by` stands in the account itself, whose limits are not its own to change.

    The account is known to be in the subtree of the actor's.
    """
    if not is_operator(by) and by.account_id == account_id:
        raise Forbidden("The limits of an account are changed from above it.", code="above_only")


def require_other_key(by: Actor, key_id: str) -> None:
    """Raises Forbidden when `by` is that key, unless it may do all there is."""
    if not is_operator(by) and by.kind == "key" and by.id == key_id:
        raise Forbidden("A key does not change its own limits.", code="above_only")
