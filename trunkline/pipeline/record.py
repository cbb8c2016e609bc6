"""The last step of a call: what it was goes into the metrics, into the request log and, where it went wrong, into the
log of the process."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.errors import ClientGone, TrunklineError, UpstreamAccount, UpstreamError
from trunkline.ids import began_at_ms
from trunkline.observe import OTHER, Metrics, logger
from trunkline.pipeline.call import Call
from trunkline.pipeline.charge import NO_USAGE, NOTHING
from trunkline.ports.keys import KeyRecord
from trunkline.ports.requests import RequestLog, RequestRow

log = logger("call")


class Recorder:
    """One per process. `shape_of` knows an error's HTTP status. Without `requests` no request log is kept."""

    def __init__(
        self, metrics: Metrics, shape_of: Callable[[TrunklineError], int], requests: RequestLog | None = None
    ) -> None:
        self._metrics = metrics
        self._shape_of = shape_of
        self._requests = requests

    def status_of(self, error: TrunklineError | None) -> int:
        return 200 if error is None else self._shape_of(error)

    def ended(self, call: Call) -> None:
        """Called exactly once for every call, however it ended."""
        metrics, error, deployment = self._metrics, call.error, call.deployment
        provider, model = "", ""
        if deployment is not None:
            provider = deployment.provider_id
            # A name that no catalog has is the caller's own text: it must not become a series of its own.
            model = deployment.model_id if deployment.model is not None else OTHER
        status = self.status_of(error)
        series = metrics.call(call.endpoint, call.protocol, provider, model, str(status))
        first_byte_s = call.first_event_at - call.started_at if call.first_event_at else None
        series.ended(call.ended_at - call.started_at, call.overhead_s, first_byte_s)
        usage = call.usage
        if usage is not None:
            series.used(usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens)
        if error is not None:
            self._went_wrong(call, error)
        if self._requests is not None and call.key is not None:
            self._requests.add(_row(call, call.key, status))

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
                status=self._shape_of(error),
            )


def _row(call: Call, key: KeyRecord, status: int) -> RequestRow:
    deployment, charge = call.deployment, call.charge
    usage = (charge.usage if charge is not None else None) or call.usage or NO_USAGE
    cost = charge.cost if charge is not None else NOTHING
    # A step that was not reached took no time.
    started, ended = call.started_at, call.ended_at
    identified = call.identified_at or ended
    read = call.read_at or ended
    routed = call.routed_at or ended
    admitted = call.admitted_at or ended
    answered = call.first_event_at or call.answered_at or ended
    relayed = call.relayed_at or ended
    return RequestRow(
        number=call.number,
        account_id=key.account_id,
        key_id=key.key_id,
        request_id=call.request_id,
        response_id=call.response_id,
        tag=call.tag,
        end_user=call.end_user,
        endpoint=call.endpoint,
        protocol=call.protocol,
        asked_model=call.asked_model,
        model=deployment.model_id if deployment is not None else "",
        provider=deployment.provider_id if deployment is not None else "",
        status=status,
        code=call.error.code if call.error is not None else None,
        stream=call.stream,
        attempts=call.attempts,
        started_at_ms=began_at_ms(call.number),
        identify_us=int((identified - started) * 1e6),
        read_us=int((read - identified) * 1e6),
        route_us=int((routed - read) * 1e6),
        admit_us=int((admitted - routed) * 1e6),
        send_us=int((answered - admitted) * 1e6),
        relay_us=int((relayed - answered) * 1e6),
        settle_us=int((ended - relayed) * 1e6),
        total_us=int((ended - started) * 1e6),
        first_event_us=int((call.first_event_at - started) * 1e6) if call.first_event_at else 0,
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_nanos=cost.cost_nanos,
        upstream_cost_nanos=cost.upstream_cost_nanos,
        estimated=charge is not None and charge.is_estimated,
        finish_reason=call.finish_reason,
        warnings="\n".join(call.warnings) if call.warnings else None,
        user_agent=call.user_agent,
    )
