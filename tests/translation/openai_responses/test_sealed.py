"""The id of a reasoning item travels with what it holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.translation.openai_responses.sealed import seal, unseal


@given(
    st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1), st.text().filter(lambda s: s[:3] != "rs_")
)
def test_both_come_back_as_they_were(name: str, encrypted: str) -> None:
    assert unseal(seal(f"rs_{name}", encrypted)) == (f"rs_{name}", encrypted)
    assert unseal(seal(None, encrypted)) == (None, encrypted)


def test_an_id_of_another_form_is_left_out() -> None:
    assert seal("rs_a.b", "x") == seal("item_1", "x") == "x"
