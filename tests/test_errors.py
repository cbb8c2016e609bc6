"""The tree itself: drawn as it is, every leaf with a code."""

from __future__ import annotations

import inspect
import re

import pytest

from trunkline import errors
from trunkline.errors import TrunklineError, UpstreamError

EVERY_KIND = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TrunklineError)]


def test_the_header_draws_the_tree() -> None:
    """Names, and how deep each stands, are those of the classes."""
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ([│├└─ ]*)([A-Z]\w+)\b", line)
        if found:
            drawn[found[2]] = len(found[1]) // 4
    real = {kind.__name__: len(kind.__mro__) - len(TrunklineError.__mro__) for kind in EVERY_KIND}
    assert drawn == real


@pytest.mark.parametrize("kind", [kind for kind in EVERY_KIND if not kind.__subclasses__()])
def test_every_leaf_has_a_stable_code(kind: type[TrunklineError]) -> None:
    assert re.fullmatch("[a-z_]+", kind("x").code or "")


def test_an_error_says_what_it_was_given() -> None:
    error = errors.InvalidRequest("send a model", code="missing", param="model", retry_after_s=2.0)
    assert (error.message, error.code, error.param, error.retry_after_s) == ("send a model", "missing", "model", 2.0)
    assert str(error) == "send a model"


@pytest.mark.parametrize("kind", [kind for kind in EVERY_KIND if issubclass(kind, UpstreamError)])
def test_an_upstream_error_knows_the_providers_status(kind: type[UpstreamError]) -> None:
    assert kind("x", status=418).status == 418
    assert kind("x").status is None
