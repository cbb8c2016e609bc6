"""The last step of a call: what it was goes into the metrics and, where it went wrong, into the log."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.errors import ClientGone, TrunklineError, UpstreamAccount, UpstreamError
from trunkline.observe import OTHER, Metrics, logger
from trunkline.pipeline.call import Call

log = logger("call")


class Recorder:
    """`status_of` knows an error's HTTP status."""

    def __init__(self, metrics: Metrics, route: str, status_of: Callable[[TrunklineError], int]) -> None:
        self._metrics = metrics
        self._route = route
        self._status_of = status_of

    def ended(self, call: Call) -> None:
        """Called exactly once for every call, however it ended."""
        metrics, error, deployment = self._metrics, call.error, call.deployment
        provider, model = "", ""
        if deployment is not None:
            provider = deployment.provider_id
            # A name that no catalog has is the caller's own text: it must not become a series of its own.
            model = deployment.model_id if deployment.model is not None else OTHER
        status = "200" if error is None else str(self._status_of(error))
        series = metrics.call(self._route, call.protocol, provider, model, status)
        first_byte_s = call.first_event_at - call.started_at if call.first_event_at else None
        series.ended(call.ended_at - call.started_at, call.overhead_s, first_byte_s)
        usage = call.usage
        if usage is not None:
            series.used(usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens)
        if error is not None:
            self._went_wrong(call, error)

    def attempt(self, call: Call, error: TrunklineError | None) -> None:
        """Called after each request to a provider; `error` is None when it served the call."""
        deployment = call.deployment
        assert deployment is not None
        outcome = "ok" if error is None else (error.code or "error")
        if isinstance(error, UpstreamError) and error.default_code is not None:
            # The code itself may be the provider's own word.
            outcome = error.default_code
        self._metrics.attempts.of(deployment.provider_id, outcome).add()
        if error is not None:
            # Our account's trouble stays until somebody acts, so it is louder.
            write = log.error if isinstance(error, UpstreamAccount) else log.warning
            write(
                "attempt_failed",
                call_id=call.id,
                request_id=call.request_id,
                attempt=call.attempts,
                provider=deployment.provider_id,
                model=deployment.model_id,
                code=error.code,
                reason=error.message,
            )

    def _went_wrong(self, call: Call, error: TrunklineError) -> None:
        code = error.default_code or "error"
        self._metrics.refusals.of(code).add()
        if isinstance(error, ClientGone):
            log.debug("client_gone", call_id=call.id)
        else:
            log.info(
                "call_refused",
                call_id=call.id,
                request_id=call.request_id,
                code=error.code,
                param=error.param,
                status=self._status_of(error),
            )
