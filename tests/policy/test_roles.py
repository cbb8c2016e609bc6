from __future__ import annotations

from typing import get_args

import pytest

from trunkline.errors import Forbidden
from trunkline.ids import ROOT_ACCOUNT, AccountId
from trunkline.policy.roles import is_operator, require_above, require_other_key, require_role
from trunkline.ports.audit import CLI, GATEWAY, Actor, Role

ROLES: tuple[Role, ...] = get_args(Role)
OURS = AccountId("acct_ours")


def actor(role: Role, key_id: str = "key_1", account_id: AccountId = OURS) -> Actor:
    return Actor(kind="key", id=key_id, account_id=account_id, role=role)


@pytest.mark.parametrize("by", ROLES)
@pytest.mark.parametrize("role", ROLES)
def test_nobody_gives_away_more_than_they_have(by: Role, role: Role) -> None:
    rank = {"viewer": 0, "member": 1, "admin": 2, "owner": 3}
    if by in ("owner", "admin") and rank[by] >= rank[role]:
        require_role(actor(by), role)
    else:
        with pytest.raises(Forbidden) as refused:
            require_role(actor(by), role)
        assert refused.value.code == "role_missing"


def test_who_has_the_machine_may_do_all() -> None:
    for by in (CLI, GATEWAY):
        require_role(by, "owner")
        require_above(by, by.account_id)


def test_limits_come_from_above() -> None:
    require_above(actor("admin"), AccountId("acct_child"))
    require_above(actor("owner", account_id=ROOT_ACCOUNT), ROOT_ACCOUNT)
    for by in (actor("admin"), actor("owner"), actor("admin", account_id=ROOT_ACCOUNT)):
        with pytest.raises(Forbidden) as refused:
            require_above(by, by.account_id)
        assert refused.value.code == "above_only"


def test_an_owner_of_the_root_alone_has_nobody_above() -> None:
    assert [(role, is_operator(actor(role, account_id=ROOT_ACCOUNT))) for role in ROLES] == [
        ("owner", True),
        ("admin", False),
        ("member", False),
        ("viewer", False),
    ]
    assert not any(is_operator(actor(role)) for role in ROLES)


def test_a_key_leaves_its_own_limits_alone() -> None:
    require_other_key(actor("admin"), "key_2")
    require_other_key(actor("owner", account_id=ROOT_ACCOUNT), "key_1")
    require_other_key(Actor(kind="user", id="key_1", account_id=OURS, role="admin"), "key_1")
    for by in (actor("admin"), actor("owner")):
        with pytest.raises(Forbidden) as refused:
            require_other_key(by, "key_1")
        assert refused.value.code == "above_only"
