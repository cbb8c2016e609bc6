"""What is known of one call while it goes through the steps."""

from __future__ import annotations

from trunkline import clock
from trunkline.catalog.models import Deployment
from trunkline.errors import TrunklineError
from trunkline.ids import call_id
from trunkline.pipeline.charge import Charge
from trunkline.pipeline.relay import Delivery
from trunkline.pipeline.ways import Keeper, LastWords
from trunkline.ports.keys import KeyRecord
from trunkline.providers.transport import Headers
from trunkline.routing.table import Route
from trunkline.wire.usage import Usage


class Call:
    """What is known of one call. Times are clock.monotonic_s, 0.0 before the thing happened.

    `number` is its place in the ledger and in the request log, `id` the same as the caller reads it. `endpoint` is the
    route's name: `chat`, `messages`, `embeddings`. `asked_model` is what he asked for, `response_id` what the answer is
    called.
    """

    __slots__ = (
        "admitted_at",
        "answered_at",
        "asked_model",
        "attempts",
        "charge",
        "delivery",
        "deployment",
        "end_user",
        "ended_at",
        "endpoint",
        "error",
        "finish_reason",
        "first_event_at",
        "id",
        "identified_at",
        "keeper",
        "key",
        "last_words",
        "number",
        "overhead_s",
        "protocol",
        "read_at",
        "relayed_at",
        "request_id",
        "response_id",
        "route",
        "routed_at",
        "started_at",
        "stream",
        "tag",
        "trace",
        "upstream_s",
        "usage",
        "user_agent",
        "warnings",
    )

    def __init__(self, number: int, protocol: str, request_id: str, trace: Headers, endpoint: str = "") -> None:
        """Without a `request_id` the call's own id takes its place."""
        self.number = number
        self.id = call_id(number)
        self.request_id = request_id or self.id
        self.protocol = protocol
        self.endpoint = endpoint
        self.trace = trace
        self.tag: str | None = None
        self.end_user: str | None = None
        self.user_agent: str | None = None
        self.asked_model = ""
        self.response_id: str | None = None
        self.finish_reason: str | None = None
        self.charge: Charge | None = None
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
        self.identified_at = self.read_at = self.routed_at = self.admitted_at = 0.0
        self.answered_at = self.first_event_at = self.relayed_at = self.ended_at = 0.0
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
