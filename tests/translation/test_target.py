"""Who is to answer: what is not known of it is not assumed."""

from __future__ import annotations

import msgspec
import pytest

from trunkline.translation.target import Target


def test_a_target_of_which_nothing_is_known() -> None:
    target = Target(provider_id="p", model_id="p/m", upstream="m")
    known = {name for name in target.__struct_fields__ if getattr(target, name)}
    assert known == {"provider_id", "model_id", "upstream"}
    assert (target.thinking, target.json_schema, target.max_output_tokens) == (None, None, None)


def test_a_target_does_not_change_under_a_writer() -> None:
    target = Target(provider_id="p", model_id="p/m", upstream="m")
    with pytest.raises(AttributeError):
        target.upstream = "other"  # type: ignore[misc]
    assert msgspec.structs.replace(target, upstream="other").upstream == "other"
