from __future__ import annotations

from collections.abc import Sequence

from trunkline.ports.recall import Asked, Recall


class AlwaysAnswered:
    def __init__(self) -> None:
        self.on_asked: Asked | None = None

    async def ask(self, slots: Sequence[int], source: str, timeout_s: float) -> frozenset[int]:
        assert source
        assert timeout_s
        return frozenset(slots)


async def test_a_plain_class_fulfils_it() -> None:
    recall: Recall = AlwaysAnswered()
    assert recall.on_asked is None
    assert await recall.ask([1, 2], "bdg_1", 1.0) == {1, 2}
