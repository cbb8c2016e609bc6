from __future__ import annotations

import pytest
from msgspec import structs

from trunkline import errors
from trunkline.catalog.models import Deployment
from trunkline.catalog.provider_row import Provider
from trunkline.errors import TrunklineError
from trunkline.routing.attempts import following

ROW = Provider(id="p", name="P", base_url="https://p.example/v1")
ROUTE = tuple(Deployment(model_id=f"p{n}/m", provider_id=f"p{n}", provider=ROW, upstream="m") for n in range(3))

GOES_ON = [
    errors.UpstreamAccount,
    errors.UpstreamRateLimited,
    errors.UpstreamOverloaded,
    errors.UpstreamTimeout,
    errors.UpstreamFailed,
    errors.StreamCut,
    errors.Unavailable,
]
STOPS = [
    errors.UpstreamRefused,
    errors.StoreUnavailable,
    errors.InvalidRequest,
    errors.Unauthenticated,
    errors.Forbidden,
    errors.NotFound,
    errors.BudgetExceeded,
    errors.ClientGone,
    errors.SettingsInvalid,
    errors.Defect,
]


@pytest.mark.parametrize("kind", GOES_ON)
def test_another_may_succeed_where_one_failed(kind: type[TrunklineError]) -> None:
    assert tuple(following(kind("x"), ROUTE[0], ROUTE[1:])) == ROUTE[1:]
    assert tuple(following(kind("x"), ROUTE[1], ROUTE[2:])) == ROUTE[2:]


@pytest.mark.parametrize("kind", GOES_ON)
def test_after_the_last_there_is_none(kind: type[TrunklineError]) -> None:
    assert not following(kind("x"), ROUTE[2], ())


@pytest.mark.parametrize("kind", STOPS)
def test_what_another_would_refuse_as_well_ends_the_call(kind: type[TrunklineError]) -> None:
    assert not following(kind("x"), ROUTE[0], ROUTE[1:])


@pytest.mark.parametrize(
    ("status", "kept"), [(401, ["other"]), (402, ["other"]), (429, ["other"]), (403, ["p0", "other"])]
)
def test_trouble_with_an_account_is_not_met_twice(status: int, kept: list[str]) -> None:
    """A 403 may be about this model alone."""
    left = [structs.replace(ROUTE[1], provider_id=name) for name in ("p0", "other")]
    error = errors.UpstreamAccount("x", status=status)
    assert [one.provider_id for one in following(error, ROUTE[0], left)] == kept


def test_every_error_of_the_tree_is_in_one_of_the_lists() -> None:
    def leaves(kind: type[TrunklineError]) -> set[type[TrunklineError]]:
        children = kind.__subclasses__()
        return set().union(*map(leaves, children)) if children else {kind}

    listed = set(GOES_ON) | set(STOPS)
    for leaf in leaves(TrunklineError):
        assert any(issubclass(leaf, kind) for kind in listed), leaf
