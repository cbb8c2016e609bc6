"""Which deployments serve a name: aliases, ids, spellings."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from trunkline.catalog.models import Deployment


class RouteOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.NAME]`: an alias with a route."""

    deployments: Annotated[tuple[str, ...], Meta(min_length=1, description="Model ids, `provider/model`, best first.")]
    strategy: Annotated[Literal["fallback"], Meta(description="`fallback`: in order, the next when one fails.")] = (
        "fallback"
    )


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What a name means: never empty. `alias` is the configured name when one was asked."""

    asked: str
    alias: str | None
    deployments: tuple[Deployment, ...]
