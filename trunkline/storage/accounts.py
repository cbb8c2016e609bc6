"""Accounts on the database."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Row, Update, insert, select, update

from trunkline.errors import InvalidRequest
from trunkline.ids import ROOT_ACCOUNT, AccountId, new_account_id
from trunkline.policy.roles import is_operator, require_above
from trunkline.ports.accounts import Account, AccountChange, AccountDraft, AccountFilter, RateLimits
from trunkline.ports.audit import CLI, Actor
from trunkline.ports.pages import Cursor, Page
from trunkline.storage import leases, rates
from trunkline.storage.changes import Change, changing
from trunkline.storage.database import Database
from trunkline.storage.key_ends import end_keys
from trunkline.storage.limits import refuse_over_parent
from trunkline.storage.money_schema import pots
from trunkline.storage.names import checked_name
from trunkline.storage.paging import page
from trunkline.storage.schema import accounts, keys
from trunkline.storage.subtree import below, is_below, require_account, require_live_account
from trunkline.storage.values import checked_count, checked_globs, checked_metadata, checked_note, checked_tag
from trunkline.wire import codec

MOST_MARKUP: Final = 100_000_000
"""A hundred times the price, in millionths."""
LONGEST_REF: Final = 200
_globs = msgspec.json.Decoder(tuple[str, ...])
_pairs = msgspec.json.Decoder(dict[str, str])
_ORDER = (accounts.c.created_at, accounts.c.account_id)
# What is changed from above only.
_LIMITS = frozenset({"models", "markup_millionths", "external_ref"})


class SqlAccountStore:
    """Fulfils ports.accounts.AccountStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, draft: AccountDraft, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> Account:
        with changing(self._database, by, within) as change:
            require_live_account(change.connection, draft.parent_id, within=within, param="parent_id")
            account = _checked(
                Account(
                    id=new_account_id(),
                    created_at=int(change.now_s),
                    **{name: getattr(draft, name) for name in draft.__struct_fields__},
                )
            )
            if not is_operator(by) and account.markup_millionths is not None:
                _require_markup(change, account.markup_millionths, draft.parent_id)
            change.connection.execute(
                insert(accounts).values(
                    account_id=account.id,
                    parent_id=account.parent_id,
                    created_at=change.now_s,
                    **_columns(account),
                )
            )
            change.audit("project.created", account.id, account.id, after=account)
            change.concerns_calls = True
        return account

    def page(self, wanted: AccountFilter, cursor: Cursor, *, within: AccountId = ROOT_ACCOUNT) -> Page[Account]:
        listed = select(accounts).where(is_below(accounts.c.account_id, within))
        if not wanted.itself:
            listed = listed.where(accounts.c.account_id != within)
        if wanted.external_ref is not None:
            listed = listed.where(accounts.c.external_ref == wanted.external_ref)
        if not wanted.archived:
            listed = listed.where(accounts.c.archived_at.is_(None))
        with self._database.reading() as connection:
            if wanted.parent_id is not None:
                require_account(connection, wanted.parent_id, within=within, param="parent_id")
                listed = listed.where(accounts.c.parent_id == wanted.parent_id)
            return page(connection, listed, cursor, _ORDER, _account)

    def show(self, account_id: str, *, within: AccountId = ROOT_ACCOUNT) -> Account:
        with self._database.reading() as connection:
            return _account(require_account(connection, account_id, within=within)[0])

    def ancestors(self, account_id: str, *, within: AccountId = ROOT_ACCOUNT) -> tuple[Account, ...]:
        with self._database.reading() as connection:
            way = [_account(row) for row in require_account(connection, account_id, within=within)]
        depth = next(place for place, account in enumerate(way) if account.id == within)
        return tuple(way[: depth + 1])

    def update(
        self, account_id: str, change: AccountChange, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> Account:
        values = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
        with changing(self._database, by, within) as changed:
            before = _account(require_live_account(changed.connection, account_id, within=within)[0])
            if _LIMITS & values.keys():
                require_above(by, before.id)
            after = _checked(msgspec.structs.replace(before, **values))
            if not is_operator(by) and "markup_millionths" in values and before.parent_id is not None:
                _require_markup(changed, after.markup_millionths, before.parent_id)
            changed.connection.execute(_at(before.id).values(**_columns(after)))
            if changed.audit_change("project.updated", before.id, before.id, before, after):
                changed.concerns_calls = True
        return after

    def move(self, account_id: str, parent_id: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> Account:
        with changing(self._database, by, within) as change:
            before = _account(require_live_account(change.connection, account_id, within=within)[0])
            require_above(by, before.id)
            way = require_live_account(change.connection, parent_id, within=within, param="parent_id")
            if before.id in (row.account_id for row in way):
                raise InvalidRequest("An account cannot stand below itself.", code="account_loop", param="parent_id")
            if before.parent_id is None:
                raise InvalidRequest("The root stays where it is.", code="account_loop", param="account")
            if before.parent_id == parent_id:
                return before
            change.connection.execute(_at(before.id).values(parent_id=parent_id))
            after = msgspec.structs.replace(before, parent_id=AccountId(parent_id))
            refuse_over_parent(change.connection, before.id)
            _fence_below(change, before.id)
            change.audit_change("project.moved", before.id, before.id, before, after)
            change.concerns_calls = True
        return after

    def archive(self, account_id: str, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT) -> Account:
        with changing(self._database, by, within) as change:
            before = _account(require_account(change.connection, account_id, within=within)[0])
            require_above(by, before.id)
            if before.parent_id is None:
                raise InvalidRequest("The root account cannot be archived.", param="account")
            if before.archived_at is not None:
                return before
            its = select(below(before.id).c.account_id)
            _fence_below(change, before.id)
            end_keys(change, keys.c.account_id.in_(its))
            ended = change.connection.execute(
                update(accounts)
                .where(accounts.c.account_id.in_(its), accounts.c.archived_at.is_(None))
                .values(archived_at=change.now_s)
                .returning(accounts.c.account_id)
            )
            for row in ended.all():
                change.audit("project.archived", row.account_id, row.account_id)
            change.concerns_calls = True
        return msgspec.structs.replace(before, archived_at=int(change.now_s))

    def rates(self, account_id: str, *, within: AccountId = ROOT_ACCOUNT) -> tuple[RateLimits, ...]:
        with self._database.reading() as connection:
            found = require_account(connection, account_id, within=within)[0]
            return rates.of_account(connection, found.account_id)

    def set_rates(
        self, account_id: str, limits: RateLimits, *, by: Actor = CLI, within: AccountId = ROOT_ACCOUNT
    ) -> RateLimits:
        with changing(self._database, by, within) as change:
            way = require_live_account(change.connection, account_id, within=within)
            require_above(by, AccountId(account_id))
            rates.put(change, [row.account_id for row in way], limits)
        return limits


def _checked(account: Account) -> Account:
    """Raises InvalidRequest."""
    checked_globs(account.models)
    checked_tag(account.default_tag)
    checked_metadata(account.metadata)
    checked_note(account.external_ref, "external_ref", LONGEST_REF)
    markup = checked_count(account.markup_millionths, "markup_millionths", 0)
    if markup is not None and markup > MOST_MARKUP:
        raise InvalidRequest(f"A markup is at most {MOST_MARKUP} millionths.", param="markup_millionths")
    return msgspec.structs.replace(account, name=checked_name(account.name, "an account"))


def _require_markup(change: Change, markup: int | None, parent_id: str) -> None:
    """Nobody but the root's owner makes calls cheaper than they are further up."""
    way = require_account(change.connection, parent_id, param="parent_id")
    above = next((row.markup_millionths for row in way if row.markup_millionths is not None), 0)
    if markup is not None and markup < above:
        raise InvalidRequest(
            f"The markup of the account above is {above} millionths; one below it has at least that.",
            code="over_parent",
            param="markup_millionths",
        )


def _fence_below(change: Change, account_id: str) -> None:
    """End the leases on everything that is counted for the account or one below it."""
    its = select(below(account_id).c.account_id)
    for source in change.connection.execute(select(pots.c.source).where(pots.c.account_id.in_(its)).distinct()):
        leases.fence(change.connection, source.source)


def _at(account_id: str) -> Update:
    return update(accounts).where(accounts.c.account_id == account_id)


def _columns(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "models": codec.encode(account.models).decode(),
        "markup_millionths": account.markup_millionths,
        "default_tag": account.default_tag,
        "external_ref": account.external_ref,
        "metadata": codec.encode(account.metadata).decode(),
    }


def _account(row: Row[*tuple[Any, ...]]) -> Account:
    return Account(
        id=row.account_id,
        parent_id=row.parent_id,
        name=row.name,
        created_at=int(row.created_at),
        archived_at=None if row.archived_at is None else int(row.archived_at),
        models=_globs.decode(row.models),
        markup_millionths=row.markup_millionths,
        default_tag=row.default_tag,
        external_ref=row.external_ref,
        metadata=_pairs.decode(row.metadata),
    )
