from __future__ import annotations

import pytest

from tests.storage.house import House
from trunkline.errors import InvalidRequest
from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.accounts import RateLimits
from trunkline.ports.keys import Grant, KeyChange


def test_rates_are_kept_by_model(house: House) -> None:
    child = house.account("child")
    every = RateLimits(requests_per_minute=60, tokens_per_minute=10_000, concurrency=5)
    one = RateLimits(model="gpt-4o", requests_per_day=100, images_per_minute=0)
    before = house.serving.version()
    assert house.accounts.set_rates(child.id, one) == one
    house.accounts.set_rates(child.id, every)
    assert house.accounts.rates(child.id) == (every, one)
    assert house.serving.version() == before + 2
    house.accounts.set_rates(child.id, every)
    assert house.serving.version() == before + 2
    house.accounts.set_rates(child.id, RateLimits(model="gpt-4o"))
    assert house.accounts.rates(child.id) == (every,)
    assert house.accounts.rates(ROOT_ACCOUNT) == ()
    assert house.events(account_ids=(child.id,))[1:] == ["rate_limit.updated"] * 2 + ["rate_limit.deleted"]


@pytest.mark.parametrize(
    ("limits", "param"),
    [
        (RateLimits(model=""), "model"),
        (RateLimits(model="x" * 201), "model"),
        (RateLimits(requests_per_minute=-1), "requests_per_minute"),
        (RateLimits(batch_tokens_per_day=2**53), "batch_tokens_per_day"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(house: House, limits: RateLimits, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        house.accounts.set_rates(ROOT_ACCOUNT, limits)
    assert refused.value.param == param


def test_no_rate_is_larger_than_one_above(house: House) -> None:
    parent = house.account("parent")
    child = house.account("child", parent.id)
    house.accounts.set_rates(ROOT_ACCOUNT, RateLimits(requests_per_minute=60, concurrency=5))
    house.accounts.set_rates(ROOT_ACCOUNT, RateLimits(model="gpt-4o", tokens_per_minute=100))
    for limits in (
        RateLimits(requests_per_minute=61),
        RateLimits(requests_per_minute=1, concurrency=6),
        RateLimits(model="gpt-4o", tokens_per_minute=101),
    ):
        with pytest.raises(InvalidRequest) as refused:
            house.accounts.set_rates(child.id, limits)
        assert refused.value.code == "over_parent"
    house.accounts.set_rates(child.id, RateLimits(requests_per_minute=60, tokens_per_minute=10**9))
    with pytest.raises(InvalidRequest) as refused:
        house.keys.create(Grant(account_id=child.id, requests_per_minute=61))
    assert (refused.value.code, refused.value.param) == ("over_parent", "requests_per_minute")
    key = house.keys.create(Grant(account_id=child.id, requests_per_minute=60, concurrency=5)).id
    with pytest.raises(InvalidRequest):
        house.keys.update(key, KeyChange(concurrency=6))
