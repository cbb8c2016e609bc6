from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import Defect
from trunkline.storage.sealing import Sealer, _expand

PEPPER = b"a pepper for tests, long enough"
PLACE = ("thing", "acct_root", "id_1")
ONE = Sealer(PEPPER)
places = st.lists(st.text(max_size=5), min_size=1, max_size=4).map(tuple)


@given(places, st.binary(max_size=2_000))
def test_what_was_sealed_opens_in_its_place(place: tuple[str, ...], plain: bytes) -> None:
    sealed = ONE.seal(place, plain)
    assert Sealer(PEPPER).open(place, sealed) == plain
    assert len(sealed) == 1 + 8 + 12 + len(plain) + 16


@given(places, places)
def test_no_two_places_open_each_others(place: tuple[str, ...], other: tuple[str, ...]) -> None:
    if place == other:
        return
    assert ONE.digest(place) != ONE.digest(other)
    with pytest.raises(Defect):
        ONE.open(other, ONE.seal(place, b"plain"))


def test_parts_do_not_run_into_each_other() -> None:
    with pytest.raises(Defect):
        ONE.open(("ab", "c"), ONE.seal(("a", "bc"), b"plain"))
    with pytest.raises(Defect):
        ONE.open(("a", "1:b"), ONE.seal(("a", "1", "b"), b"plain"))


@pytest.mark.parametrize("at", [0, 1, 8, 9, 20, 21, -1])
def test_no_bit_can_be_changed(at: int) -> None:
    sealed = bytearray(ONE.seal(PLACE, b"plain text"))
    sealed[at] ^= 1
    with pytest.raises(Defect) as raised:
        ONE.open(PLACE, bytes(sealed))
    assert "plain text" not in str(raised.value)


@pytest.mark.parametrize("length", [0, 1, 9, 20, 21, 36])
def test_what_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(Defect):
        ONE.open(PLACE, ONE.seal(PLACE, b"plain text")[:length])


def test_another_pepper_opens_nothing() -> None:
    with pytest.raises(Defect, match="another pepper"):
        Sealer(PEPPER + b"!").open(PLACE, ONE.seal(PLACE, b"plain"))
    assert Sealer(PEPPER + b"!").digest(PLACE) != ONE.digest(PLACE)


def test_the_same_is_never_sealed_alike() -> None:
    assert len({ONE.seal(PLACE, b"plain") for _ in range(100)}) == 100


def test_an_expanded_key_is_that_of_the_library() -> None:
    root = bytes(range(32))
    assert _expand(root, b"info") == HKDFExpand(algorithm=SHA256(), length=32, info=b"info").derive(root)
