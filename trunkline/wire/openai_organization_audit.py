"""The audit log of OpenAI's organisation API, as its Python SDK 3.52 reads it.

OpenAI knows fewer kinds of changes than are made here. Each is shown under the nearest type of OpenAI's; what it was in
full stands in `event`, `target_id`, `before` and `after`, which are additions.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from trunkline.wire.openai_organization import After, Before, Limit
from trunkline.wire.openai_organization_usage import Ids, Moment

# Ours to OpenAI's, where it has another word: a budget is its limit on overage, prepaid credit its billing.
NEAREST_TYPES: Final = {
    "api_key.rotated": "api_key.updated",
    "project.moved": "project.updated",
    "role.assignment.updated": "role.assignment.created",
    "budget.created": "tenant.billing.overage_limit.updated",
    "budget.updated": "tenant.billing.overage_limit.updated",
    "budget.deleted": "tenant.billing.overage_limit.updated",
    "spend_alert.created": "tenant.billing.alerts.updated",
    "spend_alert.updated": "tenant.billing.alerts.updated",
    "spend_alert.deleted": "tenant.billing.alerts.updated",
    "credit.added": "tenant.billing.info.updated",
    "credit.debited": "tenant.billing.info.updated",
}
# What OpenAI's types begin with that nothing here brings about.
OTHER_SUBJECTS: Final = frozenset(
    """certificate certificates checkpoint external_key external_storage group ip_allowlist login logout organization
    resource role scim tenant tunnel workload_identity_provider workload_identity_provider_mapping""".split()  # noqa: SIM905 - a list of quotes says no more
)
OTHER_TYPES: Final = frozenset(("project.deleted",))
TENANT: Final = "tenant."
# In `changes_requested` and `data`, OpenAI's names of what ours call otherwise.
DETAILS: Final = {
    "name": "title",
    "role": "role",
    "email": "email",
    "routes": "scopes",
    "requests_per_minute": "max_requests_per_1_minute",
    "tokens_per_minute": "max_tokens_per_1_minute",
    "images_per_minute": "max_images_per_1_minute",
    "audio_megabytes_per_minute": "max_audio_megabytes_per_1_minute",
    "requests_per_day": "max_requests_per_1_day",
    "batch_tokens_per_day": "batch_1_day_max_input_tokens",
}
DETAILS_OF: Final = {
    "project": ("name",),
    "api_key": ("routes",),
    "service_account": ("role",),
    "user": ("role",),
    "invite": ("email", "role"),
    "rate_limit": tuple(name for name in DETAILS if "_per_" in name),
}
"""Which fields a type's own object holds, by what it is about; without the fields that OpenAI lacks."""


class AuditUser(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    email: str | None = None


class AuditSession(msgspec.Struct, frozen=True, kw_only=True):
    user: AuditUser
    ip_address: str | None


class AuditKey(msgspec.Struct, frozen=True, kw_only=True):
    id: str


class AuditActor(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it: a key, or else a person, the command line (`cli`) or the gateway itself (`gateway`)."""

    type: Literal["session", "api_key"]
    session: AuditSession | UnsetType = UNSET
    api_key: AuditKey | UnsetType = UNSET


class AuditProject(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One change. Beside these stands an object under the name that `type` says."""

    id: str
    type: str
    effective_at: int
    actor: AuditActor
    project: AuditProject | UnsetType
    event: str
    target_id: str
    before: Annotated[Raw | None, Meta(extra_json_schema={"type": ["object", "null"]})]
    after: Annotated[Raw | None, Meta(extra_json_schema={"type": ["object", "null"]})]


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the audit log, the newest first."""

    object: Literal["list"] = "list"
    data: tuple[dict[str, Any], ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class EffectiveAt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unix seconds."""

    gt: Moment | None = None
    gte: Moment | None = None
    lt: Moment | None = None
    lte: Moment | None = None


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which changes. `event_types`: OpenAI's or ours."""

    after: After | None = None
    before: Before | None = None
    limit: Limit = 20
    effective_at: EffectiveAt = EffectiveAt()
    event_types: Ids | None = None
    project_ids: Ids | None = None
    actor_ids: Ids | None = None
    actor_emails: Ids | None = None
    resource_ids: Ids | None = None
    tenant_only: bool = False
