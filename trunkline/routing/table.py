"""Which deployments serve a name: aliases, ids, spellings. Case is folded; the first rule that matches wins.

1. an alias of the settings
2. `provider/rest`, where the provider is configured; `rest` is the provider's business and sent as it is
3. a dated or older name that Trunkline ships an answer for
4. a bare name: its maker's, else that of the only configured provider that has it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trunkline.catalog import aliases as shipped_aliases
from trunkline.catalog.catalog import Catalog
from trunkline.catalog.models import Deployment, Model
from trunkline.catalog.prices import Price, PriceOptions, overridden
from trunkline.catalog.provider_row import Provider
from trunkline.catalog.providers import NAMES, PROVIDERS
from trunkline.errors import NotFound, SettingsInvalid
from trunkline.routing.nearest import Nearest

LONGEST_NAME = 256
SHOWN_NAME = 100
MEMO_ENTRIES = 2048
MISSES_ENTRIES = 256
HINTS = 3
NONE: Mapping[str, tuple[str, ...]] = MappingProxyType({})


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


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of models. An alias lists the ids of its deployments; its facts are those of the first."""

    id: str
    provider_id: str
    model: Model | None = None
    deployments: tuple[str, ...] = ()


class Available(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings make of the catalog.

    `providers`: the name in the settings -> its row, with the base URL that is used. `reported`: models that a
    provider said it has, beside the catalog's.
    """

    providers: Mapping[str, Provider]
    aliases: Mapping[str, RouteOptions] = MappingProxyType({})
    prices: Mapping[str, PriceOptions] = MappingProxyType({})
    reported: Mapping[str, Sequence[str]] = NONE


class RouteTable:
    """Made once for a set of settings; a reload makes another. Raises SettingsInvalid for aliases that cannot be."""

    def __init__(self, catalog: Catalog, available: Available) -> None:
        self._catalog = catalog
        self._available = available
        self._providers = dict(available.providers)
        self._ids = _provider_names(self._providers)
        self._sellers = _sellers(self._providers)
        self._aliases = _alias_names(available.aliases)
        self._prices = {name.casefold(): options for name, options in available.prices.items()}
        self._own = self._own_models()
        self._memo: dict[str, Route] = {}
        self._misses: dict[str, str] = {}
        self._callable: Nearest | None = None
        self._makers: Nearest | None = None

    def resolve(self, asked: str) -> Route:
        """Raises NotFound with what to ask instead, or which key to set."""
        route = self._memo.get(asked)
        if route is not None:
            return route
        return self._resolve(asked)

    def _resolve(self, asked: str) -> Route:
        missed = self._misses.get(asked)
        if missed is not None:
            raise NotFound(missed, code="model_not_found", param="model")
        route = self._route(asked) if 0 < len(asked) <= LONGEST_NAME and asked.isprintable() else None
        if route is None:
            message = self._refusal(asked)
            if len(asked) <= LONGEST_NAME:
                _remember(self._misses, asked, message, MISSES_ENTRIES)
            raise NotFound(message, code="model_not_found", param="model")
        _remember(self._memo, asked, route, MEMO_ENTRIES)
        return route

    def _route(self, asked: str) -> Route | None:
        alias = self._aliases.get(asked.casefold())
        if alias is None:
            found = self._find(asked)
            return Route(asked=asked, alias=None, deployments=(found,)) if found is not None else None
        targets = self._available.aliases[alias].deployments
        # One that is reached by two names is tried once.
        deployments = {d.model_id: d for target in targets if (d := self._find(target)) is not None}
        return Route(asked=asked, alias=alias, deployments=tuple(deployments.values())) if deployments else None

    def _find(self, name: str) -> Deployment | None:
        """Rules 2 to 4."""
        first, slash, rest = name.partition("/")
        provider_id = self._ids.get(first.casefold()) if slash and rest else None
        if provider_id is not None:
            return self._at(provider_id, rest)
        for seller_id, target in self._shipped(name):
            return self._at(seller_id, target)
        found = self._bare(name)
        return found[0] if len(found) == 1 else None

    def _at(self, provider_id: str, rest: str) -> Deployment | None:
        """`rest` at a configured provider. None when it is known to have no such model."""
        row = self._providers[provider_id]
        own = self._own.get(f"{provider_id}/{rest}".casefold())
        known, upstream = own, own.upstream if own is not None else rest
        if own is None and provider_id in self._sellers.get(row.id, ()):
            known, upstream = self._catalog.spelled(row.id, rest) or (None, rest)
        if known is None and row.closed:
            return None
        exact = known is not None and known.upstream == upstream
        model_id = f"{provider_id}/{known.id.partition('/')[2] if known is not None and exact else upstream}"
        return Deployment(
            model_id=model_id,
            provider_id=provider_id,
            provider=row,
            upstream=upstream,
            model=self._priced(model_id, known),
        )

    def _priced(self, model_id: str, model: Model | None) -> Model | None:
        options = self._prices.get(model_id.casefold())
        if options is None or (model is not None and model.price is not None and model.price.version == "settings"):
            return model
        price = overridden(model.price if model is not None else None, options)
        return msgspec.structs.replace(model, price=price) if model is not None else _unlisted(model_id, price)

    def _shipped(self, name: str) -> Iterator[tuple[str, str]]:
        """The targets of a shipped alias whose provider is configured."""
        shipped = shipped_aliases.SHIPPED.get(name.casefold())
        for target in shipped.targets if shipped is not None else ():
            row_id, _, rest = target.partition("/")
            for provider_id in self._sellers.get(row_id, ()):
                yield provider_id, rest

    def _bare(self, name: str) -> list[Deployment]:
        """Every meaning of a name without a provider: one is an answer, several are candidates."""
        first, slash, rest = name.partition("/")
        known_provider = NAMES.get(first.casefold()) if slash else None
        if known_provider is not None and self._catalog.find(known_provider, rest) is not None:
            return []  # it names a provider, which has no credential: whose bill would it be otherwise?
        for row in PROVIDERS.values():
            if row.closed or name.casefold().startswith(row.makes or ("/",)):
                for provider_id in self._sellers.get(row.id, ()):
                    if (
                        self._catalog.find(row.id, name) is not None
                        and (own := self._at(provider_id, name)) is not None
                    ):
                        return [own]
        return self._elsewhere(name)

    def _elsewhere(self, name: str) -> list[Deployment]:
        """What configured providers have under that name, or under an id that ends in it."""
        found: dict[str, Deployment] = {}
        for provider_id, rest in self._having(name):
            deployment = self._at(provider_id, rest)
            if deployment is not None:
                found.setdefault(deployment.model_id.casefold(), deployment)
        return list(found.values())

    def _having(self, name: str) -> Iterator[tuple[str, str]]:
        """(configured provider, the name it has there)."""
        folded = name.casefold()
        for row_id, provider_ids in self._sellers.items():
            for rest in self._rests(row_id, name):
                for provider_id in provider_ids:
                    yield provider_id, rest
        for model_id, model in self._own.items():
            rest = model_id.partition("/")[2]
            if folded in (rest, rest.rpartition("/")[2]):
                yield model.provider, model.id.partition("/")[2]

    def _rests(self, row_id: str, name: str) -> list[str]:
        """What a row may call `name`. One that takes the very name is not asked for ids that only end in it."""
        if self._catalog.find(row_id, name) is not None:
            return [name]
        return [model.id.partition("/")[2] for model in self._catalog.named(name) if model.provider == row_id]

    def _own_models(self) -> dict[str, Model]:
        """Id in lower case -> Model, of what providers reported or the settings give a price for."""
        own: dict[str, Model] = {}
        for provider_id, names in self._available.reported.items():
            for name in names if provider_id in self._providers else ():
                if f"{self._providers[provider_id].id}/{name.casefold()}" not in self._catalog.models:
                    model_id = f"{provider_id}/{name}"
                    own[model_id.casefold()] = _unlisted(model_id, None)
        for model_id, options in self._available.prices.items():
            named, _, rest = model_id.partition("/")
            priced_id = self._ids.get(named.casefold())
            if priced_id is None or not rest or self._is_sold(priced_id, rest):
                continue
            canonical = f"{priced_id}/{rest}"
            reported = own.get(canonical.casefold())
            name = reported.id if reported is not None else canonical
            own[canonical.casefold()] = _unlisted(name, overridden(None, options))
        return own

    def _is_sold(self, provider_id: str, rest: str) -> bool:
        row = self._providers[provider_id]
        return provider_id in self._sellers.get(row.id, ()) and self._catalog.exact(row.id, rest) is not None

    def listing(self, *, everything: bool = False) -> Iterator[Listing]:
        """What can be called now: aliases, then each provider's models. `everything`: the rest of the catalog after."""
        seen: set[str] = set()
        for line in self._lines():
            folded = line.id.casefold()
            if folded not in seen:
                seen.add(folded)
                yield line
        for folded, model in self._catalog.models.items() if everything else ():
            if folded not in seen:
                yield Listing(id=model.id, provider_id=model.provider, model=model)

    def _lines(self) -> Iterator[Listing]:
        for alias in self._available.aliases:
            route = self._route(alias)
            if route is not None:
                first = route.deployments[0]
                yield Listing(
                    id=alias,
                    provider_id=first.provider_id,
                    model=first.model,
                    deployments=tuple(deployment.model_id for deployment in route.deployments),
                )
        for provider_id, row in self._providers.items():
            for model in self._catalog.of(row.id) if provider_id in self._sellers.get(row.id, ()) else ():
                model_id = f"{provider_id}/{model.id.partition('/')[2]}"
                yield Listing(id=model_id, provider_id=provider_id, model=self._priced(model_id, model))
        for model in self._own.values():
            yield Listing(id=model.id, provider_id=model.provider, model=model)

    def _refusal(self, asked: str) -> str:
        """The sentence for a name that nothing serves. It shows no more of the name than can be read."""
        shown = _shown(asked)
        if len(asked) > LONGEST_NAME or not asked.isprintable() or not asked:
            return f"The model {shown} does not exist: a model's name has 1 to {LONGEST_NAME} printable characters."
        alias = self._aliases.get(asked.casefold())
        targets = self._available.aliases[alias].deployments if alias is not None else (asked,)
        keys = list(dict.fromkeys(key for target in targets for key in self._missing_keys(target)))[:HINTS]
        candidates = [found.model_id for found in self._bare(asked)] if alias is None else []
        if alias is not None:
            told = (
                f"The alias {shown} cannot be served: none of {', '.join(map(_shown, targets[:HINTS]))} can be called."
            )
            return " ".join([told, *_to_set(keys)])
        if candidates:
            return f"The model {shown} is served by several providers; ask for one of {', '.join(candidates[:8])}."
        if keys:
            elsewhere = [found.model_id for found in self._elsewhere(asked)]
            callable_now = [f"{', '.join(elsewhere[:HINTS])} can be called."] if elsewhere else []
            told = f"The model {shown} cannot be called: its provider has no credential here."
            return " ".join([told, *_to_set(keys), *callable_now])
        near = self._near(asked)
        told = f"Did you mean {' or '.join(near)}?" if near else "GET /v1/models lists the models that can be called."
        return f"The model {shown} does not exist. {told}"

    def _missing_keys(self, name: str) -> Iterator[str]:
        """For each provider that would serve `name` if it were configured: `SETTING for MODEL`."""
        first, slash, rest = name.partition("/")
        row_id = NAMES.get(first.casefold()) if slash and rest else None
        if row_id is not None and row_id not in self._sellers and self._ids.get(first.casefold()) is None:
            yield _key_for(row_id, rest)
        shipped = shipped_aliases.SHIPPED.get(name.casefold())
        for target in shipped.targets if shipped is not None else ():
            target_row, _, target_rest = target.partition("/")
            if target_row not in self._sellers:
                yield _key_for(target_row, target_rest)
        if row_id is None:
            rows = sorted(
                (row for row in PROVIDERS.values() if row.id not in self._sellers),
                key=lambda row: not name.casefold().startswith(row.makes or ("/",)),
            )
            named = {model.provider: model for model in reversed(self._catalog.named(name))}
            for row in rows:
                if row.id in named:
                    yield _key_for(row.id, named[row.id].id.partition("/")[2])
                elif row.makes and self._catalog.find(row.id, name) is not None:
                    yield _key_for(row.id, name)

    def _near(self, asked: str) -> tuple[str, ...]:
        if self._callable is None:
            self._callable = Nearest(line.id for line in self._lines())
        near = self._callable.to(asked, HINTS)
        if near:
            return near
        if self._makers is None:
            self._makers = Nearest(
                model.id for row in PROVIDERS.values() if row.makes for model in self._catalog.of(row.id)
            )
        return self._makers.to(asked, HINTS)


def _provider_names(providers: Mapping[str, Provider]) -> dict[str, str]:
    """Every name, in lower case, that means a configured provider -> its id. A name in the settings goes first."""
    names: dict[str, str] = {}
    for provider_id in providers:
        if names.setdefault(provider_id.casefold(), provider_id) != provider_id:
            raise SettingsInvalid(
                f"providers.{provider_id} and providers.{names[provider_id.casefold()]} differ only in case",
                param=f"providers.{provider_id}",
            )
    for provider_id, row in providers.items():
        if provider_id == row.id:
            for name in row.other_names:
                names.setdefault(name, provider_id)
    return names


def _sellers(providers: Mapping[str, Provider]) -> dict[str, tuple[str, ...]]:
    """Row id -> the configured providers that sell its models: the row's own name, or its own URL."""
    sellers: dict[str, tuple[str, ...]] = {}
    for provider_id, row in providers.items():
        if provider_id == row.id or (row.base_url is not None and row.base_url == PROVIDERS[row.id].base_url):
            sellers[row.id] = (*sellers.get(row.id, ()), provider_id)
    return sellers


def _alias_names(aliases: Mapping[str, RouteOptions]) -> dict[str, str]:
    """Lower case -> the alias as the settings write it."""
    names: dict[str, str] = {}
    for alias, options in aliases.items():
        setting = f'models."{alias}"'
        if not alias or len(alias) > LONGEST_NAME or not alias.isprintable():
            raise SettingsInvalid(
                f"{_shown(alias)} cannot be an alias: 1 to {LONGEST_NAME} printable characters", param="models"
            )
        if names.setdefault(alias.casefold(), alias) != alias:
            raise SettingsInvalid(
                f'{setting} and models."{names[alias.casefold()]}" differ only in case', param=setting
            )
        for target in options.deployments:
            provider, slash, rest = target.partition("/")
            if (
                not target.isprintable()
                or len(target) > LONGEST_NAME
                or (slash and not (provider and rest))
                or not target
            ):
                raise SettingsInvalid(
                    f"{setting}: {_shown(target)} is no model id; write provider/model", param=f"{setting}.deployments"
                )
    return names


def _unlisted(model_id: str, price: Price | None) -> Model:
    provider_id, _, rest = model_id.partition("/")
    return Model(id=model_id, provider=provider_id, upstream=rest, name=rest, price=price)


def _key_for(row_id: str, rest: str) -> str:
    row = PROVIDERS[row_id]
    if row.base_url is None or not row.key_names:
        return f"[providers.{row_id}] base_url and api_key for {row_id}/{rest}"
    return f"{row.key_names[0]} for {row_id}/{rest}"


def _to_set(keys: Iterable[str]) -> Iterator[str]:
    told = ", or ".join(keys)
    if told:
        yield f"Set {told}."


def _shown(name: str) -> str:
    """The name in quotes, printable and not longer than a line."""
    cut = name if len(name) <= SHOWN_NAME else name[:SHOWN_NAME] + "…"
    return f"'{cut}'" if cut.isprintable() else ascii(cut)


def _remember(memo: dict[str, Any], name: str, value: object, limit: int) -> None:
    """The oldest go first, so that a flood of names costs work and no memory."""
    if len(memo) >= limit:
        del memo[next(iter(memo))]
    memo[name] = value
