"""Rate limits of accounts on the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, insert, select

from trunkline.errors import InvalidRequest
from trunkline.ids import AccountId
from trunkline.ports.accounts import RateLimits
from trunkline.storage.changes import Change
from trunkline.storage.tenant_schema import rate_limits
from trunkline.storage.values import LONGEST_GLOB, checked_count

FIGURES: Final = tuple(name for name in RateLimits.__struct_fields__ if name != "model")
_COLUMNS = [getattr(rate_limits.c, name) for name in RateLimits.__struct_fields__]


def of_account(connection: Connection, account_id: AccountId) -> tuple[RateLimits, ...]:
    """By model."""
    found = select(*_COLUMNS).where(rate_limits.c.account_id == account_id).order_by(rate_limits.c.model)
    return tuple(RateLimits(**row) for row in connection.execute(found).mappings())


def put(change: Change, way: Sequence[AccountId], limits: RateLimits) -> None:
    """In place of those for the same model. `way`: the ids from the account up to the root."""
    account_id = way[0]
    if not limits.model or len(limits.model) > LONGEST_GLOB or not limits.model.isprintable():
        raise InvalidRequest(f"A model is 1 to {LONGEST_GLOB} printable characters, or '*'.", param="model")
    for name in FIGURES:
        checked_count(getattr(limits, name), name, 0)
    refuse_above(change.connection, way[1:], limits)
    its = (rate_limits.c.account_id == account_id, rate_limits.c.model == limits.model)
    found = change.connection.execute(select(*_COLUMNS).where(*its)).mappings().one_or_none()
    before = RateLimits(model=limits.model) if found is None else RateLimits(**found)
    if before == limits:
        return
    change.connection.execute(delete(rate_limits).where(*its))
    if any(getattr(limits, name) is not None for name in FIGURES):
        values = msgspec.structs.asdict(limits)
        change.connection.execute(insert(rate_limits).values(account_id=account_id, **values))
        change.audit("rate_limit.updated", account_id, f"rl-{limits.model}"[:80], before, limits)
    else:
        change.audit("rate_limit.deleted", account_id, f"rl-{limits.model}"[:80], before)
    change.concerns_calls = True


def refuse_above(connection: Connection, account_ids: Sequence[AccountId], limits: RateLimits) -> None:
    """Raises InvalidRequest when one of those accounts has a smaller figure for the same model."""
    its = (rate_limits.c.account_id.in_(account_ids), rate_limits.c.model == limits.model)
    for row in connection.execute(select(rate_limits.c.account_id, *_COLUMNS).where(*its)):
        for name in FIGURES:
            wanted, allowed = getattr(limits, name), getattr(row, name)
            if wanted is not None and allowed is not None and wanted > allowed:
                raise InvalidRequest(
                    f"{name!r} is at most {allowed} here: an account above has that limit.",
                    code="over_parent",
                    param=name,
                )
