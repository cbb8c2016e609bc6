from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.sandbox.signatures import is_signed, sign


@given(st.text(), st.text())
def test_a_signature_is_that_of_its_text_alone(text: str, other: str) -> None:
    assert sign(text) == sign(text)
    assert is_signed(text, sign(text))
    assert is_signed(other, sign(text)) == (text == other)


@given(st.text())
def test_any_string_may_come_as_a_signature(signature: str) -> None:
    assert not is_signed("text", signature)
