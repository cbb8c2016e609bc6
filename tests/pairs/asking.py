"""What was said of a request's losses on its way, and what the tables say of them."""

from __future__ import annotations

import fnmatch

from tests.pairs.upstreams import Upstream
from trunkline.errors import InvalidRequest
from trunkline.translation.exchange import Opaque, Request
from trunkline.translation.losses import Losses
from trunkline.translation.target import Target


class ToldLosses(Losses):
    """Remembers under which neutral name each was told."""

    __slots__ = ("told",)

    def __init__(self, request: Request) -> None:
        super().__init__("maker/thinker", request.names)
        self.told: set[tuple[str, str]] = set()

    def _lost(self, name: str, how: str, why: str) -> None:
        self.told.add((name, how))
        super()._lost(name, how, why)

    def refused(self, name: str, sentence: str) -> InvalidRequest:
        self.told.add((name, "refused"))
        return super().refused(name, sentence)


def is_in_table(upstream: Upstream, request: Request, target: Target, told: tuple[str, str]) -> bool:
    """Lines may stand for many names: `media.*` for all kinds, `opaque`, `extras` and `drops` for what they hold."""
    name, how = told
    kinds = {part.kind for turn in request.turns for part in turn.parts if isinstance(part, Opaque)}
    holds = {"extras": set(request.extras), "opaque": kinds, "content": kinds, "drops": set(target.drops)}
    lines = [
        loss.name for loss in upstream.translator.losses if loss.direction == "request" and loss.how == how
    ]  # fmt: skip
    return any(fnmatch.fnmatchcase(name, line) or name in holds.get(line.partition(".")[0], ()) for line in lines)


def has_line(upstream: Upstream, name: str) -> bool:
    """Of its own, or that of the field it is a part of."""
    names = {loss.name for loss in upstream.translator.losses if loss.direction == "request"}
    return bool(names.intersection((name, name.partition(".")[0])))
