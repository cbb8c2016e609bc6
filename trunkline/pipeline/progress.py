"""What is known of one call while it goes through the steps."""

from __future__ import annotations

from trunkline import clock
from trunkline.catalog.models import Deployment
from trunkline.errors import TrunklineError
from trunkline.ids import CallId
from trunkline.pipeline.relay import Delivery
from trunkline.pipeline.ways import Keeper, LastWords
from trunkline.ports.keys import KeyRecord
from trunkline.providers.transport import Headers
from trunkline.routing.table import Route
from trunkline.wire.usage import Usage


class Call:
    """What is known of one call. Times are clock.monotonic_s, 0.0 before the thing happened."""

    __slots__ = (
        "answered_at",
        "attempts",
        "delivery",
        "deployment",
        "ended_at",
        "error",
        "first_event_at",
        "id",
        "keeper",
        "key",
        "last_words",
        "overhead_s",
        "protocol",
        "read_at",
        "request_id",
        "route",
        "started_at",
        "stream",
        "trace",
        "upstream_s",
        "usage",
        "warnings",
    )

    def __init__(self, call_id: CallId, protocol: str, request_id: str, trace: Headers) -> None:
        self.id = call_id
        self.protocol = protocol
        self.request_id = request_id
        self.trace = trace
        self.keeper: Keeper | None = None
        self.key: KeyRecord | None = None
        self.route: Route | None = None
        self.deployment: Deployment | None = None
        self.delivery: Delivery | None = None
        self.attempts = 0
        self.stream = False
        self.usage: Usage | None = None
        self.last_words: LastWords | None = None
        self.error: TrunklineError | None = None
        self.warnings: list[str] = []
        self.started_at = clock.monotonic_s()
        self.read_at = self.answered_at = self.first_event_at = self.ended_at = 0.0
        self.upstream_s = 0.0
        self.overhead_s = 0.0

    @property
    def is_decided(self) -> bool:
        """Who answers cannot change any more, so that the call's facts may be told."""
        may_change = self.delivery is not None and not self.delivery.event_out and self.error is None
        return self.answered_at > 0 and not may_change

    def overhead_until(self, moment: float) -> float:
        """Seconds since the body was read that were ours and not a provider's; 0.0 before it was read."""
        return max(0.0, moment - self.read_at - self.upstream_s) if self.read_at else 0.0
