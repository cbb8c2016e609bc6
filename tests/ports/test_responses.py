from __future__ import annotations

import typing

import pytest
from openai.types.responses import ResponseStatus as TheirStatus

from trunkline.ids import AccountId
from trunkline.ports.responses import RUNNING, ResponsesOptions, ResponseStatus, ResponseStore, StoredResponse
from trunkline.storage.responses import SqlResponseStore


def test_a_status_is_one_of_the_protocol() -> None:
    assert set(typing.get_args(ResponseStatus)) == set(typing.get_args(TheirStatus))
    assert set(typing.get_args(ResponseStatus)) > RUNNING


def test_retention_is_counted_in_days() -> None:
    options = ResponsesOptions(retention_days=2, sidecar_days=1)
    assert options.response_end(100.0) == 100.0 + 172_800
    assert options.sidecar_end(100.0) == 100.0 + 86_400
    assert ResponsesOptions().store_default


def test_a_response_that_was_read_cannot_be_given_away() -> None:
    made = StoredResponse(
        id="resp_1", account_id=AccountId("acct_root"), created_at=1, expires_at=2.0, status="queued", model="m",
        response=b"{}",
    )  # fmt: skip
    with pytest.raises(AttributeError):
        made.account_id = AccountId("acct_other")  # type: ignore[misc]


def test_the_database_fulfils_the_port() -> None:
    store: type[ResponseStore] = SqlResponseStore
    assert {"put", "finish", "chain", "append_events"} <= set(dir(store))
