"""An error of a store names the field that the caller sent."""

from __future__ import annotations

import pytest

from trunkline.errors import InvalidRequest, NotFound
from trunkline.http.renaming import renamed


@pytest.mark.parametrize("kind", [InvalidRequest, NotFound])
@pytest.mark.parametrize(("param", "shown"), [("models", "allowed_models"), ("name", "name"), (None, None)])
def test_the_field_has_the_callers_name(kind: type[InvalidRequest], param: str | None, shown: str | None) -> None:
    with pytest.raises(kind) as refused, renamed({"models": "allowed_models"}):
        raise kind("No.", param=param, code="c")
    assert (refused.value.param, refused.value.code) == (shown, "c")
