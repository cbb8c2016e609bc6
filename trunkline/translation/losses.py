"""What a crossing loses: the table of it, which the documentation prints, and the record of one request's losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from trunkline.errors import InvalidRequest

How = Literal["dropped", "clamped", "changed", "emulated", "refused"]


class Loss(msgspec.Struct, frozen=True):
    """`name` is a neutral name: a field of `exchange.Request`, or a part such as `media.audio`. `direction`: of a
    request on its way to this protocol's provider, or of an answer on its way to this protocol's caller."""

    name: str
    how: How
    why: str
    direction: Literal["request", "answer"] = "request"


class Losses:
    """One request's. `warnings` are sentences for the caller, in his own protocol's words; under `strict` the first
    loss refuses the request instead."""

    __slots__ = ("_model_id", "_names", "_strict", "warnings")

    def __init__(self, model_id: str, names: Mapping[str, str], *, strict: bool = False) -> None:
        self._model_id = model_id
        self._names = names
        self._strict = strict
        self.warnings: list[str] = []

    def dropped(self, name: str) -> None:
        """It is not sent. Raises InvalidRequest under `strict`."""
        self._lost(name, "dropped", f"not supported by {self._model_id}")

    def changed(self, name: str, how: str) -> None:
        """Another value is sent; `how` says which and why. Raises InvalidRequest under `strict`."""
        self._lost(name, "changed", how)

    def clamped(self, name: str, how: str) -> None:
        """The nearest value that is allowed is sent. Raises InvalidRequest under `strict`."""
        self._lost(name, "clamped", how)

    def refused(self, name: str, sentence: str) -> InvalidRequest:
        """To be raised: without this the answer would not be what was asked for. `sentence` goes on after the name."""
        shown = self._names.get(name, name)
        return InvalidRequest(f"'{shown}' {sentence}", code="unsupported_parameter", param=shown)

    def _lost(self, name: str, how: str, why: str) -> None:
        shown = self._names.get(name, name)
        if self._strict:
            raise InvalidRequest(
                f"'{shown}' would be {how}: {why}. [compat] strict = true refuses what cannot cross whole.",
                code="unsupported_parameter",
                param=shown,
            )
        warning = f"{how} {shown}: {why}"
        if warning not in self.warnings:
            self.warnings.append(warning)
