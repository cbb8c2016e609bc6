"""`trunkline models`"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
import typer

from trunkline import clock
from trunkline import config as settings_file
from trunkline.catalog.catalog import load_catalog
from trunkline.catalog.models import Model
from trunkline.cli import output
from trunkline.cli.store import ConfigFile, DataDir, Json
from trunkline.config import Settings
from trunkline.http.model_filter import ModelFilter
from trunkline.http.models import UNDATED, Wanted, facts
from trunkline.money import NanosPerMillion, usd_text
from trunkline.providers.credentials import configured
from trunkline.routing.table import Available, Listing, RouteTable
from trunkline.wire import openai_models

Search = Annotated[str, typer.Option(metavar="TEXT", help="Only those whose id or name has this in it.")]
All = Annotated[bool, typer.Option("--all", help="The whole catalog, also what cannot be called for want of a key.")]
OfProvider = Annotated[str, typer.Option("--provider", metavar="NAME", help="Only those of this provider.")]
OfModality = Annotated[
    str, typer.Option("--modality", metavar="NAME", help="Only those that take or give it: text, image, audio.")
]
OfCapability = Annotated[
    str,
    typer.Option("--capability", metavar="NAME", help="Only those that can: tools, vision, reasoning."),
]
HEAD = ("MODEL", "PROVIDER", "CONTEXT", "INPUT $/M", "OUTPUT $/M", "MODALITIES")
NO_PRICE = "no price"


def models(
    search: Search = "",
    provider: OfProvider = "",
    modality: OfModality = "",
    capability: OfCapability = "",
    everything: All = False,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """The models that can be called with these settings, and what they cost.

    Local engines are found by the server alone: its GET /v1/models lists theirs as well.
    """
    with output.refusals():
        only = ModelFilter(provider=provider, modality=modality, capability=capability)
        wanted = Wanted(everything=everything, only=only)
        lines = listed(settings_file.load(config, data_dir), search, wanted)
    if json:
        body = openai_models.openai_list([facts(line, undated=UNDATED) for line in lines])
        output.say_json(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["data"])
    elif lines:
        output.say_table(HEAD, [row(line) for line in lines])
    else:
        output.note("No model matches." if everything else "No model matches; --all searches the whole catalog.")


def listed(settings: Settings, search: str, wanted: Wanted) -> list[Listing]:
    """Raises SettingsInvalid, and InvalidRequest for a filter's value that nothing has."""
    upstreams = configured(settings.providers, settings.environment_keys)
    available = Available(
        providers={name: upstream.row for name, upstream in upstreams.items()},
        aliases=settings.models,
        prices=settings.prices,
    )
    catalog = load_catalog(dt.datetime.fromtimestamp(clock.now_s(), dt.UTC).date())
    table = RouteTable(catalog, available)
    wanted.only.check(table.listing(everything=True))
    text = search.casefold()
    return [
        line
        for line in table.listing(everything=wanted.everything)
        if wanted.only.admits(line)
        and (text in line.id.casefold() or (line.model is not None and text in line.model.name.casefold()))
    ]


def row(line: Listing) -> tuple[str, ...]:
    """Cells of the table; `-` is what is not known."""
    model = line.model or Model(id=line.id, provider=line.provider_id, upstream="", name=line.id)
    price = model.price
    context = f"{model.context_window:,}" if model.context_window is not None else "-"
    return (
        line.id,
        line.provider_id,
        context,
        NO_PRICE if price is None else _dollars(price.input),
        NO_PRICE if price is None else _dollars(price.output),
        _modalities(model),
    )


def _dollars(price: NanosPerMillion | None) -> str:
    return "-" if price is None else usd_text(price)


def _modalities(model: Model) -> str:
    """`text+image > text`."""
    if model.input_modalities is None and model.output_modalities is None:
        return "-"
    return " > ".join("+".join(kinds) if kinds else "-" for kinds in (model.input_modalities, model.output_modalities))
