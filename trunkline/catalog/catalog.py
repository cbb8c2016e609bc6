"""The catalog: every model of every row, with what is known of it, and the ways to find one by a name."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping

import msgspec

from trunkline.catalog import matching, profiles, sandbox, snapshot
from trunkline.catalog.models import Model
from trunkline.catalog.prices import BATCH_DISCOUNTS, Price, price_of
from trunkline.catalog.provider_row import PriceList, Provider
from trunkline.catalog.providers import PROVIDERS
from trunkline.catalog.snapshot import Listed, Snapshot


class Catalog:
    """`models`: id in lower case -> Model. Read-only after it is loaded."""

    __slots__ = ("_bare", "_rules", "_spelled", "models", "version")

    def __init__(self, version: str) -> None:
        self.version = version
        self.models: dict[str, Model] = {}
        self._spelled: dict[str, tuple[Model, str]] = {}
        self._rules: dict[str, list[tuple[matching.Rule, Model]]] = {}
        self._bare: dict[str, list[Model]] = {}

    def add(self, model: Model) -> None:
        self.models[model.id.casefold()] = model
        rest = model.id.partition("/")[2].casefold()
        last = rest.rpartition("/")[2]
        for name in {rest, last, model.upstream.casefold()}:
            self._bare.setdefault(name, []).append(model)

    def add_spelling(self, model: Model, name: str) -> None:
        """Another name that the provider takes for `model`."""
        folded = name.casefold()
        if f"{model.provider}/{folded}" not in self.models:
            self._spelled.setdefault(f"{model.provider}/{folded}", (model, name))
            self._bare.setdefault(folded, []).append(model)

    def add_rule(self, model: Model, rule: matching.Rule) -> None:
        """`rule` knows more names that the provider takes for `model`."""
        self._rules.setdefault(model.provider, []).append((rule, model))

    def exact(self, provider_id: str, rest: str) -> Model | None:
        """The model whose id is `provider/rest`, in any case."""
        return self.models.get(f"{provider_id}/{rest.casefold()}")

    def find(self, provider_id: str, rest: str) -> Model | None:
        """The model that the provider takes `rest` for: its id, another spelling, a dated snapshot. None is unknown."""
        found = self.spelled(provider_id, rest)
        return found[0] if found is not None else None

    def spelled(self, provider_id: str, rest: str) -> tuple[Model, str] | None:
        """`find`, and `rest` as the provider spells it: people write any case, and some providers read only one."""
        name = rest.casefold()
        whole = f"{provider_id}/{name}"
        exact = self.models.get(whole)
        if exact is not None:
            return exact, exact.upstream
        if whole in self._spelled:
            return self._spelled[whole]
        for rule, model in self._rules.get(provider_id, ()):
            if matching.matches(rule, name):
                # A fine-tuned model's name ends in an id whose case counts.
                return model, name if ":" not in name and model.upstream == model.upstream.lower() else rest
        return None

    def named(self, bare: str) -> tuple[Model, ...]:
        """The models that a name without a provider can mean, by id, by the last part of the id, or by a spelling."""
        return tuple(self._bare.get(bare.casefold(), ()))

    def of(self, provider_id: str) -> Iterator[Model]:
        """The models of one row, in the order of the price list."""
        return (model for model in self.models.values() if model.provider == provider_id)


def load_catalog(on: dt.date) -> Catalog:
    """Prices as they are on that day. Takes about 40 ms and touches nothing but the installed packages."""
    data = snapshot.read()
    catalog = Catalog(data.version)
    for model in sandbox.MODELS:
        catalog.add(model)
    for row in PROVIDERS.values():
        for price_list in row.prices:
            _add_list(catalog, data, on, row, price_list)
    return catalog


def _add_list(catalog: Catalog, data: Snapshot, on: dt.date, row: Provider, price_list: PriceList) -> None:
    listed = data.lists.get(price_list.id, ())
    models: list[tuple[Listed, Model]] = []
    for entry in listed:
        model = _model(entry, row, price_list, on, data.version)
        if model is None:
            continue
        if not _is_pattern(entry, price_list):
            catalog.add(model)
        models.append((entry, model))
    # Spellings come after all ids, so that a name that is an id is never another model's spelling.
    for entry, model in models:
        if not price_list.suffix:
            for name in snapshot.spellings(entry.match):
                catalog.add_spelling(model, name)
            rule = matching.rule_of(entry.match)
            if rule is not None:
                catalog.add_rule(model, rule)


def _model(entry: Listed, row: Provider, price_list: PriceList, on: dt.date, version: str) -> Model | None:
    """None for an entry that this row does not serve, or whose name there is not told."""
    if entry.id.startswith(price_list.omits):
        return None
    upstream = entry.id if _is_pattern(entry, price_list) else _upstream(entry)
    if upstream is None:
        return None
    rest = entry.id
    if row.lower_case:
        rest, upstream = rest.lower(), upstream.lower()
    known = profiles.find(row.id, rest) or profiles.Profile(names=(), source="")
    return Model(
        id=f"{row.id}/{rest}{price_list.suffix}",
        provider=row.id,
        upstream=upstream + price_list.suffix,
        name=entry.name,
        price=_price(entry, row, on, version),
        context_window=known.context_window or entry.context_window,
        max_output_tokens=known.max_output_tokens,
        input_modalities=known.input,
        output_modalities=known.output,
        capabilities=known.capabilities,
        created=known.created,
    )


# OpenAI's models write to their cache without being asked, and since GPT-5.6 charge for it:
# https://github.com/coder/mux/issues/3705. Others that have a price for it write what is marked.
_WRITES_UNASKED = re.compile(r"(?:.*/)?gpt-")


def _price(entry: Listed, row: Provider, on: dt.date, version: str) -> Price | None:
    price = price_of(entry.prices, on, version, entry.variants)
    if price is None:
        return None
    return msgspec.structs.replace(
        price,
        batch_discount_millionths=BATCH_DISCOUNTS.get(row.id, 0),
        writes_unasked=price.cache_write is not None and _WRITES_UNASKED.match(entry.id) is not None,
    )


def _is_pattern(entry: Listed, price_list: PriceList) -> bool:
    return any(entry.id.startswith(beginning) for beginning in price_list.patterns)


def _upstream(entry: Listed) -> str | None:
    """The id when the entry's own rule takes it for this model, else the first name that the rule spells out."""
    names = snapshot.spellings(entry.match)
    folded = entry.id.lower()
    if any(name.lower() == folded for name in names):
        return entry.id
    rule = matching.rule_of(entry.match)
    if rule is not None and matching.matches(rule, folded):
        return entry.id
    return names[0] if names else None


def providers_that_sell(catalog: Catalog) -> Mapping[str, int]:
    """Provider id -> how many models the catalog has of it."""
    counts: dict[str, int] = {}
    for model in catalog.models.values():
        counts[model.provider] = counts.get(model.provider, 0) + 1
    return counts
