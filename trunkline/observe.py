"""The only doorway to telemetry: the logger, the metrics, and the type that keeps secrets out of both."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec
import structlog
from msgspec import Meta


class LogOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what is written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least severe line that is written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="`auto`: console on a terminal, else one JSON object a line."),
    ] = "auto"


class Secret:
    """A credential. Printing it, logging it or putting it in a message shows a fingerprint, never the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: Final = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def fingerprint(self) -> str:
        return hashlib.sha256(self._value.encode()).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"Secret({self.fingerprint()})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is never serialised")


def logger(room: str) -> Any:
    """A structured logger: `logger("transport").warning("connect_failed", origin=...)`."""
    return structlog.get_logger(room=room)  # noqa: TID251 - this is the place
