"""Usage and costs of the organisation API, in OpenAI's buckets and groups.

OpenAI reports each kind of endpoint by itself. What has no report of its own there, such as Messages, Gemini's methods
and rerank, counts as completions, so that the reports together hold every call once. What this gateway never has, such
as vector stores, is reported with empty buckets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import Raw

from trunkline import clock
from trunkline.errors import InvalidRequest, NotFound
from trunkline.http.organization_routes import PREFIX, Asked, route
from trunkline.http.renaming import renamed
from trunkline.http.usage_pages import added
from trunkline.ids import AccountId, KeyId
from trunkline.money import usd_text
from trunkline.ports.keys import KeyFilter, Keys
from trunkline.ports.pages import MOST_ITEMS, Cursor
from trunkline.ports.reports import Dimension, Reports, Sums, UsageQuery, UsageResult
from trunkline.wire import openai_organization_usage as wire

WIDTHS_S: Final = {"1m": 60, "1h": 3600, "1d": 86_400}
SOURCES: Final = {"images": "image.generation", "image_edits": "image.edit"}
TRANSCRIPTIONS: Final = ("transcriptions", "translations")
OTHERS: Final = frozenset(("embeddings", "moderations", "speech", *SOURCES, *TRANSCRIPTIONS))
"""Endpoints that have a report of their own."""
DIMENSIONS: Final[dict[str, Dimension]] = {
    "project_id": "account",
    "user_id": "key",
    "api_key_id": "key",
    "model": "model",
    "line_item": "model",
    "batch": "batch",
    "service_tier": "service_tier",
    "source": "endpoint",
}
"""What is grouped by in the ledger for each of OpenAI's groups. The owner of a key is looked up."""
REPORT_NAMES: Final = {"start_s": "start_time", "end_s": "end_time", "width": "bucket_width"}
Labels = tuple[tuple[str, Any], ...]


class Report(NamedTuple):
    """`endpoints`: the only ones, None is all that have no report of their own. `result` makes a result of a group's
    labels and sums."""

    path: str
    query: type[msgspec.Struct]
    endpoints: tuple[str, ...] | None
    result: Callable[[dict[str, Any], Sums], msgspec.Struct]
    kind: type[msgspec.Struct]
    summary: str


def _completions(labels: dict[str, Any], sums: Sums) -> msgspec.Struct:
    return wire.CompletionsResult(
        **labels,
        input_tokens=sums.input_tokens,
        input_uncached_tokens=sums.input_tokens - sums.cached_input_tokens - sums.cache_write_tokens,
        input_cached_tokens=sums.cached_input_tokens,
        input_cache_write_tokens=sums.cache_write_tokens,
        input_audio_tokens=sums.input_audio_tokens,
        output_tokens=sums.output_tokens,
        output_audio_tokens=sums.output_audio_tokens,
        num_model_requests=sums.requests,
    )


def _embeddings(labels: dict[str, Any], sums: Sums) -> msgspec.Struct:
    return wire.EmbeddingsResult(**labels, input_tokens=sums.input_tokens, num_model_requests=sums.requests)


def _moderations(labels: dict[str, Any], sums: Sums) -> msgspec.Struct:
    return wire.ModerationsResult(**labels, input_tokens=sums.input_tokens, num_model_requests=sums.requests)


def _images(labels: dict[str, Any], sums: Sums) -> msgspec.Struct:
    return wire.ImagesResult(**labels, images=sums.images, num_model_requests=sums.requests)


def _speeches(labels: dict[str, Any], sums: Sums) -> msgspec.Struct:
    return wire.SpeechesResult(**labels, characters=0, num_model_requests=sums.requests)


def _transcriptions(labels: dict[str, Any], sums: Sums) -> msgspec.Struct:
    return wire.TranscriptionsResult(**labels, seconds=0, num_model_requests=sums.requests)


def _none(labels: dict[str, Any], sums: Sums) -> msgspec.Struct:
    raise AssertionError("nothing of this kind is ever used")


_NEVER = "Nothing of this kind is used here: empty buckets."
REPORTS: Final = (
    Report(
        "completions",
        wire.CompletionsQuery,
        None,
        _completions,
        wire.CompletionsResult,
        "Tokens of text, in and out, and all that has no report of its own.",
    ),
    Report(
        "embeddings",
        wire.UsedQuery,
        ("embeddings",),
        _embeddings,
        wire.EmbeddingsResult,
        "Tokens of embeddings.",
    ),
    Report(
        "moderations",
        wire.UsedQuery,
        ("moderations",),
        _moderations,
        wire.ModerationsResult,
        "Tokens of moderations.",
    ),
    Report("images", wire.ImagesQuery, tuple(SOURCES), _images, wire.ImagesResult, "Images that were made."),
    Report("audio_speeches", wire.UsedQuery, ("speech",), _speeches, wire.SpeechesResult, "Texts that were spoken."),
    Report(
        "audio_transcriptions",
        wire.UsedQuery,
        TRANSCRIPTIONS,
        _transcriptions,
        wire.TranscriptionsResult,
        "Recordings that were written down.",
    ),
    Report("vector_stores", wire.StoresQuery, (), _none, wire.NoResult, _NEVER),
    Report("code_interpreter_sessions", wire.StoresQuery, (), _none, wire.NoResult, _NEVER),
    Report("file_search_calls", wire.FileSearchQuery, (), _none, wire.NoResult, _NEVER),
    Report("web_search_calls", wire.WebSearchQuery, (), _none, wire.NoResult, _NEVER),
    Report("decisions", wire.CompletionsQuery, (), _none, wire.NoResult, _NEVER),
)


class KeyOwners:
    """Which keys belong to whom. Blocking."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def keys_of(self, owner_ids: Iterable[str], within: AccountId) -> tuple[KeyId, ...]:
        """Those that have ended, too."""
        found: list[KeyId] = []
        for owner_id in owner_ids:
            after, more = None, True
            while more:
                wanted = KeyFilter(owner_id=owner_id, ended=True)
                page = self._keys.page(wanted, Cursor(limit=MOST_ITEMS, after=after), within=within)
                found += (key.id for key in page.items)
                more = page.has_more
                after = found[-1] if found else None
        return tuple(found)

    def owners_of(self, key_ids: Iterable[str], within: AccountId) -> dict[str, str | None]:
        return {key_id: self._owner_of(key_id, within) for key_id in set(key_ids)}

    def _owner_of(self, key_id: str, within: AccountId) -> str | None:
        try:
            return self._keys.show(key_id, within=within).owner_id
        except NotFound:
            return None  # a key of an account that was since moved elsewhere


class Usage:
    def __init__(self, reports: Reports, owners: KeyOwners) -> None:
        self._reports = reports
        self._owners = owners

    def routes(self) -> list[HTTPRouteHandler]:
        return [*map(self._route, REPORTS), self._costs_route()]

    def _route(self, report: Report) -> HTTPRouteHandler:
        async def read(asked: Asked[Any]) -> wire.BucketPage[Any]:
            return await self._used(report, asked)

        read.__doc__ = report.summary
        answer = wire.BucketPage[report.kind]  # type: ignore[name-defined]
        return route("GET", f"{PREFIX}/usage/{report.path}", read, asks=report.query, answer=answer)

    def _costs_route(self) -> HTTPRouteHandler:
        answer = wire.BucketPage[wire.CostsResult]
        return route("GET", PREFIX + "/costs", self.costs, asks=wire.CostsQuery, answer=answer)

    async def _used(self, report: Report, asked: Asked[Any]) -> wire.BucketPage[Any]:
        said = asked.said
        default, most = wire.DEFAULT_LIMITS[said.bucket_width], wire.MOST_LIMITS[said.bucket_width]
        keys = await self._keys(getattr(said, "api_key_ids", None), getattr(said, "user_ids", None), asked.within)
        query = UsageQuery(
            **_span(said, default, most),
            root=asked.within,
            accounts=_ids(said.project_ids),
            keys=keys,
            models=_ids(getattr(said, "models", None)),
            endpoints=_endpoints(report, said),
            batch=getattr(said, "batch", None),
            group_by=_dimensions(said.group_by or (), *(("endpoint",) if report.endpoints is None else ())),
        )
        return await self._page(query, said.group_by or (), report.result, asked.within)

    async def costs(self, asked: Asked[wire.CostsQuery]) -> wire.BucketPage[Any]:
        """What the accounts pay, by day."""
        said = asked.said
        query = UsageQuery(
            **_span(said, wire.COSTS_DEFAULT_LIMIT, wire.COSTS_MOST_LIMIT),
            root=asked.within,
            accounts=_ids(said.project_ids),
            keys=_keys(said.api_key_ids),
            models=_ids(said.line_items),
            group_by=_dimensions(said.group_by or ()),
        )
        return await self._page(query, said.group_by or (), _cost, asked.within)

    async def _keys(
        self, key_ids: list[str] | None, user_ids: list[str] | None, within: AccountId
    ) -> tuple[KeyId, ...] | None:
        """Those that pass both filters; None when there is none."""
        if user_ids is None:
            return _keys(key_ids)
        owned = await asyncio.to_thread(self._owners.keys_of, user_ids, within)
        return owned if key_ids is None else tuple(key for key in owned if key in key_ids)

    async def _page(
        self,
        query: UsageQuery,
        group_by: Sequence[str],
        result: Callable[[dict[str, Any], Sums], msgspec.Struct],
        within: AccountId,
    ) -> wire.BucketPage[Any]:
        with renamed(REPORT_NAMES):
            page = await self._reports.usage(query)
        owners: dict[str, str | None] = {}
        if "user_id" in group_by:
            used = [one.key_id for bucket in page.buckets for one in bucket.results if one.key_id is not None]
            owners = await asyncio.to_thread(self._owners.owners_of, used, within)
        without = OTHERS if query.endpoints is None and result is not _cost else frozenset[str]()
        return wire.BucketPage(
            data=tuple(
                wire.Bucket(
                    start_time=bucket.start_s,
                    end_time=bucket.end_s,
                    results=tuple(
                        result(dict(labels), sums)
                        for labels, sums in _summed(
                            ((_labels(one, group_by, owners), one) for one in bucket.results), without
                        ).items()
                    ),
                )
                for bucket in page.buckets
            ),
            has_more=page.next_page is not None,
            next_page=page.next_page,
        )


def _span(said: Any, default: int, most: int) -> dict[str, Any]:
    """Raises InvalidRequest for a limit beyond OpenAI's, and for a span that ends before it begins."""
    width_s = WIDTHS_S[said.bucket_width]
    if said.limit is not None and said.limit > most:
        raise InvalidRequest(
            f"limit is at most {most} for a bucket_width of {said.bucket_width}.",
            code="integer_above_max_value",
            param="limit",
        )
    # The bucket that runs is whole, so that it has the same ends whenever it is asked for.
    end_s = -(-int(clock.now_s() + 1) // width_s) * width_s if said.end_time is None else said.end_time
    if end_s <= said.start_time:
        param = "start_time" if said.end_time is None else "end_time"
        raise InvalidRequest("The time ends before it begins.", param=param)
    return {
        "start_s": said.start_time,
        "end_s": end_s,
        "width": said.bucket_width,
        "limit": default if said.limit is None else said.limit,
        "page": said.page,
    }


def _endpoints(report: Report, said: Any) -> tuple[str, ...] | None:
    if isinstance(said, wire.ImagesQuery):
        if said.sizes:
            raise InvalidRequest(
                "The sizes of images are not recorded, so they cannot be asked for.",
                code="unsupported_parameter",
                param="sizes",
            )
        if said.sources is not None:
            return tuple(endpoint for endpoint, source in SOURCES.items() if source in said.sources)
    return report.endpoints


def _dimensions(group_by: Sequence[str], *more: Dimension) -> tuple[Dimension, ...]:
    found = [*(DIMENSIONS[name] for name in group_by if name in DIMENSIONS), *more]
    return tuple(dict.fromkeys(found))


def _labels(result: UsageResult, group_by: Sequence[str], owners: dict[str, str | None]) -> Labels:
    """What OpenAI calls what the result is about. Of what is not recorded, nothing is said."""
    values = {
        "project_id": result.account_id,
        "api_key_id": result.key_id,
        "user_id": owners.get(result.key_id or ""),
        "model": result.model,
        "line_item": result.model,
        "batch": result.batch,
        "service_tier": result.service_tier,
        "source": SOURCES.get(result.endpoint or ""),
        "api_source": "unlabeled",
    }
    return tuple((name, values[name]) for name in dict.fromkeys(group_by) if name in values)


def _summed(results: Iterable[tuple[Labels, UsageResult]], without: frozenset[str]) -> dict[Labels, Sums]:
    """One sum for each set of labels; `without` those endpoints, and what only failed."""
    found: dict[Labels, Sums] = {}
    for labels, result in results:
        sums = result.sums
        if result.endpoint in without or not (sums.requests or sums.cost_nanos):
            continue
        found[labels] = added((found[labels], sums)) if labels in found else sums
    return found


def _cost(labels: dict[str, Any], sums: Sums) -> msgspec.Struct:
    amount = wire.Amount(value=Raw(usd_text(sums.cost_nanos).encode()))
    tokens = sums.input_tokens + sums.output_tokens
    # A model that counts both has no one unit.
    if "line_item" not in labels or (tokens and sums.images):
        return wire.CostsResult(**labels, amount=amount)
    return wire.CostsResult(
        **labels, amount=amount, quantity=tokens or sums.images, quantity_unit="images" if sums.images else "tokens"
    )


def _ids(given: list[str] | None) -> tuple[Any, ...] | None:
    return None if given is None else tuple(given)


def _keys(given: list[str] | None) -> tuple[KeyId, ...] | None:
    return _ids(given)
