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
from trunkline.http.models import UNDATED, facts
from trunkline.money import NanosPerMillion, usd_per_million
from trunkline.providers.credentials import configured
from trunkline.routing.table import Available, Listing, RouteTable
from trunkline.wire import openai_models

Search = Annotated[str, typer.Option(metavar="TEXT", help="Only those whose id or name has this in it.")]
All = Annotated[bool, typer.Option("--all", help="The whole catalog, also what cannot be called for want of a key.")]
HEAD = ("MODEL", "PROVIDER", "CONTEXT", "INPUT $/M", "OUTPUT $/M")


def models(
    search: Search = "",
    everything: All = False,
    json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """The models that can be called with these settings, and what they cost.

    Local engines are found by the server alone: its GET /v1/models lists theirs as well.
    """
    with output.refusals():
        lines = listed(settings_file.load(config, data_dir), search, everything=everything)
    if json:
        body = openai_models.openai_list([facts(line, undated=UNDATED) for line in lines])
        output.say_json(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["data"])
    elif lines:
        output.say_table(HEAD, [row(line) for line in lines])
    else:
        output.note("No model matches." if everything else "No model matches; --all searches the whole catalog.")


def listed(settings: Settings, search: str, *, everything: bool) -> list[Listing]:
    """Raises SettingsInvalid."""
    upstreams = configured(settings.providers, settings.environment_keys)
    available = Available(
        providers={name: upstream.row for name, upstream in upstreams.items()},
        aliases=settings.models,
        prices=settings.prices,
    )
    catalog = load_catalog(dt.datetime.fromtimestamp(clock.now_s(), dt.UTC).date())
    wanted = search.casefold()
    return [
        line
        for line in RouteTable(catalog, available).listing(everything=everything)
        if wanted in line.id.casefold() or (line.model is not None and wanted in line.model.name.casefold())
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
        _dollars(price.input if price is not None else None),
        _dollars(price.output if price is not None else None),
    )


def _dollars(price: NanosPerMillion | None) -> str:
    return "-" if price is None else f"{usd_per_million(price):.9f}".rstrip("0").rstrip(".")
