"""May this call be made: what it may cost fits every budget that it belongs to, and is held there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from trunkline.catalog.models import Deployment
from trunkline.pipeline.charge import Bill, Charge
from trunkline.pipeline.treasury import Treasury
from trunkline.policy.metering import Demand, Tariff
from trunkline.translation.demand import for_model

if TYPE_CHECKING:
    from trunkline.pipeline.progress import Call


class Tariffs(Protocol):
    """call.LiveSettings, as far as it is used here."""

    def tariff(self, deployment: Deployment, markup_millionths: int) -> Tariff | None: ...


class Asking(msgspec.Struct, frozen=True, gc=False):
    """What is asked of whom. `demand` is the same for all candidates. `cap` writes the longest answer into the request,
    where it can be said; `estimated_input` counts its tokens, about."""

    call: Call
    candidates: Sequence[Deployment]
    tariffs: Tariffs
    demand: Demand
    estimated_input: Callable[[], int]
    cap: Callable[[int], None] | None = None


async def admitted(treasury: Treasury, asking: Asking) -> Sequence[Deployment]:
    """Those of the candidates that may serve the call; what it may cost is held.

    Raises Forbidden, BudgetExceeded, InvalidRequest, BudgetUnavailable, StoreUnavailable, Unavailable.
    """
    charge = asking.call.charge = _charge(treasury, asking)
    if charge.is_capped:
        await charge.admit()
        _cap(charge, asking)
    return charge.candidates


def _charge(treasury: Treasury, asking: Asking) -> Charge:
    call, candidates = asking.call, asking.candidates
    key, route = call.key, call.route
    assert key is not None, "it is identified"
    assert route is not None, "it is routed"
    lineage = treasury.scopes.lineage(key.account_id)
    if call.tag is None:
        call.tag = key.default_tag or lineage.default_tag
    if lineage.models:
        candidates = lineage.permitted(route, candidates)
    names = (route.asked,) if route.alias is None else (route.asked, route.alias)
    if len(candidates) == 1:
        only = candidates[0]
        models: tuple[str, ...] = (only.model_id,)
        tariffs = {only.model_id: asking.tariffs.tariff(only, lineage.markup_millionths)}
        demands = {only.model_id: _demand(treasury, asking.demand, only)}
    else:
        models = tuple([one.model_id for one in candidates])
        tariffs = {one.model_id: asking.tariffs.tariff(one, lineage.markup_millionths) for one in candidates}
        demands = {one.model_id: _demand(treasury, asking.demand, one) for one in candidates}
    funding = lineage.funding(key.key_id, call.tag, call.end_user, names, models)
    return Charge(treasury, call, Bill(funding, demands, tariffs, asking.estimated_input), candidates)


def _demand(treasury: Treasury, asked: Demand, deployment: Deployment) -> Demand:
    model = deployment.model
    return for_model(
        asked,
        deployment.upstream,
        max_output_tokens=model.max_output_tokens if model is not None else None,
        context_window=model.context_window if model is not None else None,
        default_max_output=treasury.default_max_output,
    )


def _cap(charge: Charge, asking: Asking) -> None:
    """What was held is for an answer of so many tokens: the provider is told."""
    if asking.cap is None:
        return
    most = min(charge.bill.demands[one.model_id].max_output for one in charge.candidates)
    if most:
        asking.cap(most)
        if asking.demand.open_ended:
            asking.call.warnings.append(f"set the maximum of output tokens to {most}, which is what the budget holds")
