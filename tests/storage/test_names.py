from __future__ import annotations

import pytest

from trunkline.errors import InvalidRequest
from trunkline.storage.names import checked_name


@pytest.mark.parametrize(
    ("name", "kept"),
    [("build", "build"), ("  Ünïcode 名前 ", "Ünïcode 名前"), ("<b>'; --", "<b>'; --"), ("n" * 200, "n" * 200)],
)
def test_any_line_is_a_name(name: str, kept: str) -> None:
    assert checked_name(name, "a key") == kept


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[31mred", "n" * 201, "nul\0", "\u202eright to left"])
def test_what_a_list_could_not_show_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="name of a key") as refused:
        checked_name(name, "a key")
    assert refused.value.param == "name"
