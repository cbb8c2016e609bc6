"""Limits are shaped as OpenAI's client reads and writes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.admin import organization as theirs
from openai.types.admin.organization import organization_spend_alert, organization_spend_limit
from openai.types.admin.organization import projects as in_project

from tests.wire.openai_sdk import disagreements, fields_of, unread
from trunkline.wire import openai_organization_limits as ours

ANSWERS = [
    (ours.SpendLimit, theirs.OrganizationSpendLimit),
    (ours.SpendLimit, in_project.ProjectSpendLimit),
    (ours.Enforcement, organization_spend_limit.Enforcement),
    (ours.SpendAlert, theirs.OrganizationSpendAlert),
    (ours.SpendAlert, in_project.ProjectSpendAlert),
    (ours.NotificationChannel, organization_spend_alert.NotificationChannel),
    (ours.RateLimit, in_project.ProjectRateLimit),
    (ours.ModelPermissions, in_project.ProjectModelPermissions),
]
PARAMS = [
    (ours.SpendLimitUpdate, theirs.SpendLimitUpdateParams),
    (ours.SpendLimitUpdate, in_project.SpendLimitUpdateParams),
    (ours.SpendAlertUpdate, theirs.SpendAlertCreateParams),
    (ours.SpendAlertUpdate, theirs.SpendAlertUpdateParams),
    (ours.SpendAlertUpdate, in_project.SpendAlertCreateParams),
    (ours.SpendAlertUpdate, in_project.SpendAlertUpdateParams),
    (ours.SpendAlertsQuery, theirs.SpendAlertListParams),
    (ours.SpendAlertsQuery, in_project.SpendAlertListParams),
    (ours.RateLimitsQuery, in_project.RateLimitListRateLimitsParams),
    (ours.RateLimitUpdate, in_project.RateLimitUpdateRateLimitParams),
    (ours.ModelPermissionsUpdate, in_project.ModelPermissionUpdateParams),
]


@pytest.mark.parametrize(("kind", "model"), ANSWERS, ids=lambda one: one.__name__)
def test_answers(kind: type[msgspec.Struct], model: Any) -> None:
    # One struct serves both levels, and `object` says which.
    assert not [one for one in disagreements(kind, model) if not one.startswith("object may be")]


@pytest.mark.parametrize(("kind", "params"), PARAMS, ids=lambda one: one.__name__)
def test_params(kind: type[msgspec.Struct], params: Any) -> None:
    assert not unread(kind, params, frozenset({"project_id"}))


def test_every_rate_can_be_set() -> None:
    assert fields_of(ours.RateLimit).keys() - fields_of(ours.RateLimitUpdate).keys() == {"object", "id", "model"}


@pytest.mark.parametrize("amount", ["-1", "1.5", "1e3", '"100"', "null", "true", "100000000001"])
def test_amounts_are_whole_cents(amount: str) -> None:
    body = f'{{"threshold_amount":{amount},"currency":"USD","interval":"month"}}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=ours.SpendLimitUpdate)
