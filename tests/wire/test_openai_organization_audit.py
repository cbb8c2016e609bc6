"""The audit log is shaped as OpenAI's client reads and asks for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.admin.organization import AuditLogListParams, AuditLogListResponse
from openai.types.admin.organization import audit_log_list_response as theirs
from openai.types.admin.organization.audit_log_list_params import EffectiveAt

from tests.wire.openai_sdk import disagreements, unread
from trunkline.wire import openai_organization_audit as ours

ADDITIONS = frozenset({"event", "target_id", "before", "after"})
TYPES = frozenset(AuditLogListResponse.model_fields["type"].annotation.__args__)  # type: ignore[union-attr]
SHAPES = [
    (ours.AuditActor, theirs.Actor),
    (ours.AuditKey, theirs.ActorAPIKey),
    (ours.AuditSession, theirs.ActorSession),
    (ours.AuditUser, theirs.ActorSessionUser),
    (ours.AuditProject, theirs.Project),
    (ours.AuditEvent, theirs.AuditLogListResponse),
]


@pytest.mark.parametrize(("kind", "model"), SHAPES, ids=lambda one: one.__name__)
def test_shapes(kind: type[msgspec.Struct], model: Any) -> None:
    assert not disagreements(kind, model, ADDITIONS)


def test_params() -> None:
    assert not unread(ours.AuditQuery, AuditLogListParams)
    assert not unread(ours.EffectiveAt, EffectiveAt)


def test_the_nearest_types_are_openais_and_ours_are_not() -> None:
    assert set(ours.NEAREST_TYPES.values()) <= TYPES
    assert not set(ours.NEAREST_TYPES) & TYPES
    assert ours.OTHER_TYPES <= TYPES
    assert {kind.partition(".")[0] for kind in TYPES} >= ours.OTHER_SUBJECTS


@pytest.mark.parametrize("subject", ours.DETAILS_OF)
def test_fields_of_a_change_are_those_that_the_client_knows(subject: str) -> None:
    """Of `data` or `changes_requested`, whichever the type has."""
    known: set[str] = set()
    for name, field in AuditLogListResponse.model_fields.items():
        if (field.alias or name).startswith(subject + "."):
            for inner in field.annotation.__args__[0].model_fields.values():  # type: ignore[union-attr]
                parts = getattr(inner.annotation, "__args__", ())
                known |= {key for part in parts if hasattr(part, "model_fields") for key in part.model_fields}
    assert known
    assert {ours.DETAILS[name] for name in ours.DETAILS_OF[subject]} <= known
