from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.sandbox.sealed import seal, unseal

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXTS)
def test_what_is_sealed_opens_for_its_purpose_alone(text: str) -> None:
    sealed = seal("a", text)
    assert unseal("a", sealed) == text
    assert unseal("b", sealed) is None
    assert seal("a", text) == sealed


@given(TEXTS, st.integers(0, 10_000), st.characters())
def test_a_changed_character_is_noticed(text: str, at: int, other: str) -> None:
    sealed = seal("a", text)
    at %= len(sealed)
    changed = sealed[:at] + other + sealed[at + 1 :]
    assert unseal("a", changed) == (text if changed == sealed else None)


@given(st.text(max_size=40))
def test_anything_else_opens_nothing(text: str) -> None:
    assert unseal("a", text) is None


def test_it_cannot_be_read() -> None:
    assert b"secret plan".hex() not in seal("a", "secret plan").encode().hex()
    assert seal("a", "secret plan")[22:] != seal("a", "secret plans")[22:-4]
