"""May this call be made: what it may cost fits every budget that it belongs to, and is held there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from trunkline.catalog.models import Deployment
from trunkline.pipeline.charge import Bill, Charge
from trunkline.pipeline.scopes import Lineage
from trunkline.pipeline.treasury import Treasury
from trunkline.policy.metering import Demand, Tariff
from trunkline.ports.keys import KeyRecord
from trunkline.translation.demand import for_model

if TYPE_CHECKING:
    from trunkline.pipeline.progress import Call

MEMO_ENTRIES = 4096


class Tariffs(Protocol):
    """call.LiveSettings, as far as it is used here."""

    def tariff(self, deployment: Deployment, markup_millionths: int) -> Tariff | None: ...


class Terms(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is the same for all calls of one key to the same deployments, until accounts, budgets or settings change.
    `asked` are those deployments, `candidates` those of them that the key's account may use."""

    key: KeyRecord
    asked: Sequence[Deployment]
    settings: Tariffs
    lineage: Lineage
    candidates: Sequence[Deployment]
    names: tuple[str, ...]
    models: tuple[str, ...]
    tariffs: dict[str, Tariff | None]
    default_tag: str | None

    def are_of(self, asking: Asking) -> bool:
        call = asking.call
        return (
            self.key is call.key
            and self.asked is asking.candidates
            and self.settings is asking.tariffs
            and call.route is not None
            and self.names[0] == call.route.asked
        )


class Asking(msgspec.Struct, frozen=True):
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
    call, key, asked = asking.call, asking.call.key, asking.demand
    assert key is not None, "it is identified"
    terms = treasury.terms.get((key.key_id, id(asking.candidates)))
    if terms is None or not terms.are_of(asking):
        terms = _remember(treasury, asking)
    if call.tag is None:
        call.tag = terms.default_tag
    if asked.open_ended or asked.media or asked.tools is not None:
        demands = {one.model_id: _demand(treasury, asked, one) for one in terms.candidates}
    else:
        demands = dict.fromkeys(terms.models, asked)
    funding = terms.lineage.funding(key.key_id, call.tag, call.end_user, terms.names, terms.models)
    return Charge(treasury, call, Bill(funding, demands, terms.tariffs, asking.estimated_input), terms.candidates)


def _remember(treasury: Treasury, asking: Asking) -> Terms:
    call, candidates = asking.call, asking.candidates
    key, route = call.key, call.route
    assert key is not None, "it is identified"
    assert route is not None, "it is routed"
    lineage = treasury.scopes.lineage(key.account_id)
    left = lineage.permitted(route, candidates) if lineage.models else candidates
    made = Terms(
        key=key,
        asked=candidates,
        settings=asking.tariffs,
        lineage=lineage,
        candidates=left,
        names=(route.asked,) if route.alias is None else (route.asked, route.alias),
        models=tuple([one.model_id for one in left]),
        tariffs={one.model_id: asking.tariffs.tariff(one, lineage.markup_millionths) for one in left},
        default_tag=key.default_tag or lineage.default_tag,
    )
    if len(treasury.terms) >= MEMO_ENTRIES:
        treasury.terms.clear()
    treasury.terms[key.key_id, id(candidates)] = made
    return made


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
            charge.warnings = [
                *charge.warnings,
                f"set the maximum of output tokens to {most}, which is what the budget holds",
            ]
