from __future__ import annotations

from trunkline.providers.sandbox.numbering import new_id


def test_ids_are_of_their_kind_and_never_the_same() -> None:
    made = [new_id("msg_") for _ in range(50)]
    assert len(set(made)) == 50
    assert all(each.startswith("msg_") and each[4:].isalnum() and len(each) == 24 for each in made)
