"""The fields that AIgateway's users send and read are there, under each of their spellings."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from trunkline.wire import aigateway, codec
from trunkline.wire.amounts import cents


def fields(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        (
            aigateway.SubAccountRequest,
            "name external_ref spend_cap_cents rate_limit_rpm allowed_models default_tag",
        ),
        (
            aigateway.SubAccount,
            "id name external_ref spend_cap_cents rate_limit_rpm default_tag created_at key scoped_key",
        ),
        (aigateway.SubAccountList, "object data"),
        (aigateway.UsageReport, "summary by_model by_day"),
        (aigateway.Figures, "requests cost_cents"),
        (aigateway.ModelFigures, "model_id"),
        (aigateway.DayFigures, "date"),
        (aigateway.BudgetRequest, "tag monthly_cap_cents"),
        (aigateway.TagFigures, "tag label requests cost_cents"),
        (aigateway.CallLine, "request_id model status latency_ms cost_cents tag created_at"),
    ],
)
def test_every_documented_field_is_there(kind: type[msgspec.Struct], listed: str) -> None:
    assert set(listed.split()) <= fields(kind)


def test_a_key_is_in_the_answer_only_when_it_is_new() -> None:
    card = aigateway.SubAccount(
        id="acct_1",
        name="n",
        external_ref=None,
        parent_id="acct_root",
        status="active",
        spend_cap_cents=cents(15 * 10**6),
        spend_cap_period="month",
        rate_limit_rpm=None,
        rate_limit_tpm=None,
        allowed_models=(),
        default_tag=None,
        created_at=1,
    )
    shown = msgspec.json.decode(codec.encode(card))
    assert not {"key", "scoped_key", "key_id"} & set(shown)
    assert (shown["spend_cap_cents"], shown["object"]) == (1.5, "sub_account")


def test_an_amount_is_read_without_a_float() -> None:
    wanted = msgspec.json.decode(b'{"name": "n", "spend_cap_cents": 0.1}', type=aigateway.SubAccountRequest)
    assert wanted.spend_cap_cents == Decimal("0.1")


@pytest.mark.parametrize(
    "body", [b'{"name": ""}', b'{"name": "n", "rate_limit_rpm": 0}', b'{"name": "n", "cap": 5}', b"{}"]
)
def test_what_is_no_sub_account_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=aigateway.SubAccountRequest)
