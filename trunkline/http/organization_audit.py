"""The audit log of the organisation API: what was changed, by whom, what it was before and what it became."""

from __future__ import annotations

import math
from typing import Any, Final, get_args

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, UnsetType

from trunkline.errors import InvalidRequest, NotFound
from trunkline.http.organization_routes import PREFIX, Asked, cursor_of, route
from trunkline.ids import AccountId
from trunkline.ports.accounts import AccountStore
from trunkline.ports.audit import AuditFilter, AuditLog, AuditRecord, AuditType
from trunkline.ports.pages import Cursor, Page
from trunkline.ports.users import UserStore
from trunkline.wire import openai_organization_audit as wire

OURS: Final[frozenset[str]] = frozenset(get_args(AuditType))
SHOWN_AS: Final = {ours: wire.NEAREST_TYPES.get(ours, ours) for ours in OURS}
SUBJECTS: Final = frozenset(ours.partition(".")[0] for ours in OURS)


class AuditRoutes:
    def __init__(self, audit: AuditLog, accounts: AccountStore, users: UserStore) -> None:
        self._audit = audit
        self._accounts = accounts
        self._users = users

    def routes(self) -> list[HTTPRouteHandler]:
        return [route("GET", PREFIX + "/audit_logs", self.page, asks=wire.AuditQuery, answer=wire.AuditPage)]

    def page(self, asked: Asked[wire.AuditQuery]) -> wire.AuditPage:
        """What was changed, the newest first."""
        said = asked.said
        cursor = cursor_of(said.after, said.before, limit=said.limit, order="desc")
        wanted = self._filter(said, asked.within)
        found: Page[AuditRecord] = Page(items=())
        if wanted is not None:
            found = self._audit.page(wanted, cursor, within=asked.within)
        projects = {record.account_id for record in found.items} - {asked.within}
        names = {account_id: self._name(account_id, asked.within) for account_id in projects}
        ids = [record.id for record in found.items]
        return wire.AuditPage(
            data=tuple(self._shown(record, names, asked.within) for record in found.items),
            first_id=ids[0] if ids else None,
            last_id=ids[-1] if ids else None,
            has_more=found.has_more,
        )

    def _filter(self, said: wire.AuditQuery, within: AccountId) -> AuditFilter | None:
        """None: nothing can pass it. Raises InvalidRequest for a type that nobody has."""
        types = types_of(said.event_types)
        if said.tenant_only:
            tenants = frozenset(ours for ours, shown in SHOWN_AS.items() if shown.startswith(wire.TENANT))
            types = tenants if types is None else types & tenants
        actors = None if said.actor_ids is None else frozenset(said.actor_ids)
        if said.actor_emails is not None:
            people = self._people(said.actor_emails, within)
            actors = people if actors is None else actors & people
        targets = None if said.resource_ids is None else frozenset(map(_target_of, said.resource_ids))
        projects = None if said.project_ids is None else frozenset(said.project_ids)
        filters = (types, actors, targets, projects)
        if any(one is not None and not one for one in filters):
            return None
        since, until = span_of(said.effective_at)
        kinds, actor_ids, target_ids, account_ids = (tuple(sorted(one or ())) for one in filters)
        return AuditFilter(
            types=kinds,
            actor_ids=actor_ids,
            target_ids=target_ids,
            account_ids=account_ids,
            since=since,
            until=until,
        )

    def _people(self, emails: list[str], within: AccountId) -> frozenset[str]:
        if not emails:
            return frozenset()
        page = self._users.page(Cursor(limit=1000), tuple(email.lower() for email in emails), within=within)
        return frozenset(user.id for user in page.items)

    def _name(self, account_id: AccountId, within: AccountId) -> str:
        return self._accounts.show(account_id, within=within).name

    def _shown(self, record: AuditRecord, names: dict[AccountId, str], within: AccountId) -> dict[str, Any]:
        project: wire.AuditProject | UnsetType = UNSET
        if record.account_id in names:
            project = wire.AuditProject(id=record.account_id, name=names[record.account_id])
        event = wire.AuditEvent(
            id=record.id,
            type=SHOWN_AS[record.type],
            effective_at=int(record.at),
            actor=self._actor(record, within),
            project=project,
            event=record.type,
            target_id=record.target_id,
            before=record.before,
            after=record.after,
        )
        shown = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
        return {**shown, event.type: detail_of(record)}

    def _actor(self, record: AuditRecord, within: AccountId) -> wire.AuditActor:
        if record.actor_kind == "key":
            return wire.AuditActor(type="api_key", api_key=wire.AuditKey(id=record.actor_id))
        user = wire.AuditUser(id=record.actor_id, email=self._email(record, within))
        return wire.AuditActor(type="session", session=wire.AuditSession(user=user, ip_address=record.address))

    def _email(self, record: AuditRecord, within: AccountId) -> str | None:
        if record.actor_kind != "user":
            return None
        try:
            return self._users.show(record.actor_id, within=within).email
        except NotFound:
            return None  # since removed, or somebody of an account further up


def types_of(asked: list[str] | None) -> frozenset[str] | None:
    """Our types for those that were asked for, OpenAI's or ours. Raises InvalidRequest for what is neither's."""
    if asked is None:
        return None
    found: set[str] = set()
    for place, name in enumerate(asked):
        meant = {ours for ours, shown in SHOWN_AS.items() if name in (ours, shown)}
        subject = name.partition(".")[0]
        if not meant and name not in wire.OTHER_TYPES and subject not in wire.OTHER_SUBJECTS:
            near = sorted(ours for ours in OURS if ours.startswith(subject + ".")) or sorted(SUBJECTS)
            raise InvalidRequest(
                f"{name[:64]!r} is no type of event; there is {', '.join(near)}.", param=f"event_types[{place}]"
            )
        found |= meant
    return frozenset(found)


def span_of(asked: wire.EffectiveAt) -> tuple[float | None, float | None]:
    """(first, last) moment, both included. What happened within a second is shown as of its beginning."""
    since = [float(moment) for moment in (asked.gte, None if asked.gt is None else asked.gt + 1) if moment is not None]
    ends = [moment for moment in (asked.lt, None if asked.lte is None else asked.lte + 1) if moment is not None]
    return max(since, default=None), math.nextafter(min(ends), -math.inf) if ends else None


def detail_of(record: AuditRecord) -> dict[str, Any]:
    """The object under the name of the type, with the fields that OpenAI has in it."""
    subject, _, what = record.type.partition(".")
    if subject == "role":
        return _assignment(record)
    shown: dict[str, Any] = {"id": _shown_target(record.target_id)}
    changed = {} if record.after is None else msgspec.json.decode(record.after, type=dict[str, Any])
    fields = {
        wire.DETAILS[name]: changed[name] for name in wire.DETAILS_OF.get(subject, ()) if changed.get(name) is not None
    }
    if subject == "project" and "title" in fields and what == "created":
        fields["name"] = fields["title"]
    if fields:
        shown["data" if what in ("created", "added", "sent") else "changes_requested"] = fields
    return shown


def _assignment(record: AuditRecord) -> dict[str, Any]:
    return {
        "id": f"{record.account_id}:{record.target_id}",
        "principal_id": record.target_id,
        "principal_type": "user",
        "resource_id": record.account_id,
        "resource_type": "api.project",
    }


def _shown_target(target_id: str) -> str:
    """Rate limits are named after models, whose ids have slashes that would part a path."""
    return target_id.replace("/", "~") if target_id.startswith("rl-") else target_id


def _target_of(shown: str) -> str:
    return shown.replace("~", "/") if shown.startswith("rl-") else shown
