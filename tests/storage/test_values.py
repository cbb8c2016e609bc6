from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.errors import InvalidRequest
from trunkline.storage.values import (
    checked_count,
    checked_email,
    checked_globs,
    checked_metadata,
    checked_note,
    checked_tag,
)


@pytest.mark.parametrize(
    ("check", "value", "kept"),
    [
        (checked_globs, ("openai/*", "!a", "x" * 200), ("openai/*", "!a", "x" * 200)),
        (checked_tag, None, None),
        (checked_tag, "x" * 64, "x" * 64),
        (checked_note, None, None),
        (checked_note, "two\nlines", "two\nlines"),
        (checked_note, "", ""),
        (checked_email, " Ann@Example.COM ", "ann@example.com"),
        (checked_metadata, {}, {}),
        (checked_metadata, {"k" * 64: "v" * 512}, {"k" * 64: "v" * 512}),
    ],
)
def test_what_fits_is_kept(check: Callable[[Any], object], value: object, kept: object) -> None:
    assert check(value) == kept


@pytest.mark.parametrize(
    ("check", "value", "param"),
    [
        (checked_globs, ("",), "models"),
        (checked_globs, ("!",), "models"),
        (checked_globs, ("a\tb",), "models"),
        (checked_globs, ("a",) * 201, "models"),
        (checked_tag, "", "default_tag"),
        (checked_tag, "a\nb", "default_tag"),
        (checked_note, "a\tb", "note"),
        (checked_note, "x" * 501, "note"),
        (checked_email, "", "email"),
        (checked_email, "ann", "email"),
        (checked_email, "ann@example", "email"),
        (checked_email, "ann@ex ample.com", "email"),
        (checked_email, "a@b.c\r\nBcc: x@y.z", "email"),
        (checked_email, f"{'x' * 64}@{'y' * 200}.com", "email"),
        (checked_metadata, {"": ""}, "metadata"),
        (checked_metadata, {"k" * 65: ""}, "metadata"),
    ],
)
def test_what_does_not_fit_names_its_field(check: Callable[[Any], object], value: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check(value)
    assert refused.value.param == param


@pytest.mark.parametrize(("count", "least", "fits"), [(None, 1, True), (1, 1, True), (0, 1, False), (0, 0, True)])
def test_counts(count: int | None, least: int, fits: bool) -> None:
    if fits:
        assert checked_count(count, "rpm", least) == count
    else:
        with pytest.raises(InvalidRequest, match="'rpm' is a whole number, 1 or more"):
            checked_count(count, "rpm", least)
