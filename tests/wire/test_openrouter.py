"""The fields that OpenRouter's users send and read are there."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET

from tests.wire.test_aigateway import fields
from trunkline.wire import openrouter


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        (
            openrouter.KeyFacts,
            """label limit usage limit_remaining limit_reset is_free_tier is_provisioning_key is_management_key
            rate_limit usage_daily usage_weekly usage_monthly include_byok_in_limit expires_at""",
        ),
        (openrouter.RateLimit, "requests interval"),
        (openrouter.Credits, "total_credits total_usage"),
        (openrouter.KeyRequest, "name limit limit_reset expires_at"),
        (openrouter.NewKey, "key data"),
        (
            openrouter.KeyCard,
            """hash name label disabled limit limit_remaining limit_reset include_byok_in_limit usage usage_daily
            usage_weekly usage_monthly created_at updated_at expires_at""",
        ),
    ],
)
def test_every_documented_field_is_there(kind: type[msgspec.Struct], listed: str) -> None:
    assert set(listed.split()) <= fields(kind)


def test_what_is_not_sent_is_told_from_what_is_null() -> None:
    change = msgspec.json.decode(b'{"limit": null}', type=openrouter.KeyChangeRequest)
    assert (change.limit, change.rpm, change.name) == (None, UNSET, UNSET)


@pytest.mark.parametrize(
    "body", [b'{"name": null}', b'{"limit_reset": "yearly"}', b'{"rpm": 0}', b'{"disabled": true}', b'{"routes": null}']
)
def test_what_is_no_change_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=openrouter.KeyChangeRequest)
