"""`GET /v1/models` and `/v1/models/{id}`: what the calling key can call, in OpenAI's shape or in Anthropic's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

from trunkline.catalog.prices import Price
from trunkline.errors import InvalidRequest, NotFound, TrunklineError
from trunkline.http.asgi import Headers, Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.model_filter import ModelFilter
from trunkline.http.problems import family_of
from trunkline.policy import keys as key_policy
from trunkline.policy import metering
from trunkline.ports.keys import KeyRecord
from trunkline.routing.table import Listing, RouteTable
from trunkline.wire import openai_models
from trunkline.wire.openai_models import ModelFacts, Pricing

PREFIX = "/v1/models/"
UNDATED = 1_767_225_600
"""2026-01-01: `created` in OpenAI's shape of a model whose day of release the catalog does not know."""
PAGE_DEFAULT = 20
PAGE_MAX = 1000
MEMO_ENTRIES = 8
JSON: Headers = [(b"content-type", b"application/json")]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the list Anthropic's clients ask for."""

    limit: int = PAGE_DEFAULT
    after_id: str | None = None
    before_id: str | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which models: `everything` is the whole catalog, also what cannot be called for want of a credential."""

    everything: bool = False
    only: ModelFilter = ModelFilter()


class _Known:
    """One list as it was last made, and its bytes once somebody asked for them."""

    __slots__ = ("body", "lines")

    def __init__(self, lines: tuple[Listing, ...]) -> None:
        self.lines = lines
        self.body: bytes | None = None


class ModelLists:
    """The lists of one route table, remembered by what may be seen. A list of 1,000 models takes 10 ms to write."""

    def __init__(self, table: RouteTable) -> None:
        self.table = table
        self._known: dict[tuple[tuple[str, ...], Wanted, int], _Known] = {}

    def openai(self, globs: tuple[str, ...], wanted: Wanted, markup_millionths: int = 0) -> bytes:
        """The prices are what an account with this markup pays."""
        known = self._lines(globs, wanted, markup_millionths)
        if known.body is None:
            known.body = openai_models.openai_list(
                [facts(line, undated=UNDATED, markup_millionths=markup_millionths) for line in known.lines]
            )
        return known.body

    def anthropic(self, globs: tuple[str, ...], wanted: Wanted, page: Page) -> bytes:
        lines, has_more = page_of(self._lines(globs, wanted).lines, page)
        return openai_models.anthropic_list([facts(line, undated=None) for line in lines], has_more=has_more)

    def _lines(self, globs: tuple[str, ...], wanted: Wanted, markup_millionths: int = 0) -> _Known:
        # The whole catalog is the same for everyone.
        asked = (() if wanted.everything else globs, wanted, markup_millionths)
        known = self._known.get(asked)
        if known is None:
            wanted.only.check(self.table.listing(everything=True))
            listed = self.table.listing(everything=wanted.everything)
            known = _Known(
                tuple(
                    line
                    for line in listed
                    if (wanted.everything or permitted(globs, line)) and wanted.only.admits(line)
                )
            )
            if len(self._known) >= MEMO_ENTRIES:
                del self._known[next(iter(self._known))]
            self._known[asked] = known
        return known

    def one(self, record: KeyRecord, model_id: str) -> Listing:
        """Raises NotFound for a name that nothing is known of, Forbidden for one that the key may not use."""
        route = self.table.resolve(model_id)
        first = key_policy.permitted(record, route)[0]
        if route.alias is None and first.model is None:
            raise NotFound(
                f"Nothing is known of the model '{first.model_id}'; calls go to {first.provider_id} as they are.",
                code="model_not_found",
                param="model",
            )
        return Listing(
            id=route.alias if route.alias is not None else first.model_id,
            provider_id=first.provider_id,
            model=first.model,
        )


def permitted(globs: tuple[str, ...], line: Listing) -> bool:
    """May a key with these globs call it: by its own name, or, an alias, by one of its deployments."""
    return not globs or any(key_policy.matches(globs, name) for name in (line.id, *line.deployments))


def page_of(lines: Sequence[Listing], page: Page) -> tuple[Sequence[Listing], bool]:
    """The page, and whether there is more beyond it in its direction. Raises InvalidRequest for an id it lacks."""
    if page.before_id is not None:
        end = _place(lines, page.before_id, "before_id")
        start = max(0, end - page.limit)
        return lines[start:end], start > 0
    start = 0 if page.after_id is None else _place(lines, page.after_id, "after_id") + 1
    return lines[start : start + page.limit], start + page.limit < len(lines)


def _place(lines: Sequence[Listing], model_id: str, param: str) -> int:
    folded = model_id.casefold()
    for place, line in enumerate(lines):
        if line.id.casefold() == folded:
            return place
    raise InvalidRequest(f"{param} is not the id of a model in this list.", param=param)


def facts(line: Listing, *, undated: int | None, markup_millionths: int = 0) -> ModelFacts:
    """`undated` stands for a day of release that is not known. Prices are with the markup."""
    model = line.model
    if model is None:
        return ModelFacts(
            id=line.id, name=line.id, provider=line.provider_id, owned_by=line.provider_id, created=undated
        )
    return ModelFacts(
        id=line.id,
        name=model.name,
        provider=line.provider_id,
        owned_by=line.provider_id,
        created=model.created if model.created is not None else undated,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        input_modalities=model.input_modalities,
        output_modalities=model.output_modalities,
        capabilities=msgspec.structs.asdict(model.capabilities),
        pricing=pricing(model.price, markup_millionths) if model.price is not None else None,
    )


def pricing(price: Price, markup_millionths: int = 0) -> Pricing:
    """What an account with this markup pays, exactly."""
    factor = metering.MILLION * (metering.MILLION + markup_millionths)
    variants = {name: _marked_up(way.figures(), factor) for name, way in price.variants.items()}
    if "batch" not in variants and price.batch_discount_millionths:
        less = (metering.MILLION - price.batch_discount_millionths) * (metering.MILLION + markup_millionths)
        variants["batch"] = _marked_up(price.figures(), less)
    return Pricing(
        version=metering.version_of(price, markup_millionths),
        figures=_marked_up(price.figures(), factor),
        tiers=[(tier.above_input_tokens, _marked_up(tier.figures(), factor)) for tier in price.tiers],
        variants=variants,
    )


def _marked_up(figures: Mapping[str, int], factor: int) -> dict[str, int]:
    return {kind: figure * factor for kind, figure in figures.items()}


def read_query(query: bytes) -> tuple[Wanted, Page]:
    """`all`, `provider`, `modality`, `capability`, and Anthropic's paging. Raises InvalidRequest, naming the
    parameter."""
    given: Mapping[str, str] = dict(parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True))
    everything = given.get("all", "false").lower()
    if everything not in ("true", "false", "1", "0"):
        raise InvalidRequest("all is true or false.", param="all")
    limit = given.get("limit", str(PAGE_DEFAULT))
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= 4 and 1 <= int(limit) <= PAGE_MAX):
        raise InvalidRequest(f"limit is a whole number from 1 to {PAGE_MAX}.", param="limit")
    after_id, before_id = given.get("after_id"), given.get("before_id")
    if after_id is not None and before_id is not None:
        raise InvalidRequest("Give after_id or before_id, not both.", param="before_id")
    only = ModelFilter(**{name: given.get(name, "") for name in ModelFilter.__struct_fields__})
    wanted = Wanted(everything=everything in ("true", "1"), only=only)
    return wanted, Page(limit=int(limit), after_id=after_id, before_id=before_id)


class ModelRoutes:
    """`table`: the routes of the settings that hold now; a reload replaces them. `markup_of` is what the key's account
    pays on top of the prices, in millionths."""

    def __init__(
        self, door: Door, table: Callable[[], RouteTable], markup_of: Callable[[KeyRecord], int] = lambda record: 0
    ) -> None:
        self._door = door
        self._table = table
        self._markup_of = markup_of
        self._lists = ModelLists(table())

    def lists(self) -> ModelLists:
        table = self._table()
        if self._lists.table is not table:
            self._lists = ModelLists(table)
        return self._lists

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(scope, send, self._list)

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The id is the whole rest of the path; the server has made `/` of `%2F`."""
        await self._serve(scope, send, self._show)

    async def _serve(self, scope: Scope, send: Send, write: Callable[[Scope, KeyRecord], bytes]) -> None:
        try:
            record = await self._door.identify(scope, dict(scope["headers"]))
            body = write(scope, record)
        except TrunklineError as error:
            await self._door.refuse(scope, send, error)
            return
        await self._door.answer(scope, send, 200, JSON, body)

    def _list(self, scope: Scope, record: KeyRecord) -> bytes:
        wanted, page = read_query(scope["query_string"])
        if _anthropic(scope):
            return self.lists().anthropic(record.models, wanted, page)
        return self.lists().openai(record.models, wanted, self._markup_of(record))

    def _show(self, scope: Scope, record: KeyRecord) -> bytes:
        line = self.lists().one(record, scope["path"][len(PREFIX) :])
        if _anthropic(scope):
            return openai_models.anthropic_model(facts(line, undated=None))
        return openai_models.openai_model(facts(line, undated=UNDATED, markup_millionths=self._markup_of(record)))


def _anthropic(scope: Scope) -> bool:
    return family_of(scope["path"], dict(scope["headers"])) == "anthropic"
