"""The fields that LiteLLM's users send and read are there; periods are those of the calendar."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from tests.wire.test_aigateway import fields
from trunkline.wire import litellm
from trunkline.wire.aigateway import Cycle


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        (
            litellm.KeyGenerate,
            """models duration key_alias max_budget budget_duration tpm_limit rpm_limit max_parallel_requests team_id
            metadata""",
        ),
        (litellm.KeyGenerated, "key key_name expires user_id team_id max_budget"),
        (
            litellm.KeyInfo,
            """key_name key_alias spend max_budget budget_duration budget_reset_at expires models tpm_limit rpm_limit
            max_parallel_requests blocked metadata""",
        ),
        (litellm.SpendLog, "request_id api_key spend total_tokens startTime endTime model request_tags team_id"),
    ],
)
def test_every_field_that_has_a_counterpart_is_there(kind: type[msgspec.Struct], listed: str) -> None:
    assert set(listed.split()) <= fields(kind)


def test_what_is_shown_as_a_duration_can_be_sent_back() -> None:
    for period in get_args(Cycle):
        spelled = litellm.SPELLED[period]
        assert spelled is None or litellm.DURATIONS[spelled] == period


def test_metadata_is_not_taken_and_dropped() -> None:
    assert msgspec.json.decode(b'{"metadata": {}}', type=litellm.KeyGenerate).metadata == {}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"metadata": {"a": 1}}', type=litellm.KeyGenerate)
