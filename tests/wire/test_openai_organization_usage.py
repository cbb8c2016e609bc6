"""Usage and costs are shaped as OpenAI's client reads and asks for them."""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
import pytest
from openai.types.admin import organization as theirs
from openai.types.admin.organization import usage_completions_response as answers

from tests.wire.openai_sdk import disagreements, unread
from trunkline.money import usd_text
from trunkline.wire import openai_organization_usage as ours

RESULTS = [
    (ours.CompletionsResult, answers.DataResultOrganizationUsageCompletionsResult),
    (ours.EmbeddingsResult, answers.DataResultOrganizationUsageEmbeddingsResult),
    (ours.ModerationsResult, answers.DataResultOrganizationUsageModerationsResult),
    (ours.ImagesResult, answers.DataResultOrganizationUsageImagesResult),
    (ours.SpeechesResult, answers.DataResultOrganizationUsageAudioSpeechesResult),
    (ours.TranscriptionsResult, answers.DataResultOrganizationUsageAudioTranscriptionsResult),
    (ours.CostsResult, answers.DataResultOrganizationCostsResult),
    (ours.Amount, answers.DataResultOrganizationCostsResultAmount),
    (ours.Bucket, answers.Data),
    (ours.BucketPage, answers.UsageCompletionsResponse),
]
PARAMS = [
    (ours.CompletionsQuery, theirs.UsageCompletionsParams),
    (ours.CompletionsQuery, theirs.UsageDecisionsParams),
    (ours.UsedQuery, theirs.UsageEmbeddingsParams),
    (ours.UsedQuery, theirs.UsageModerationsParams),
    (ours.UsedQuery, theirs.UsageAudioSpeechesParams),
    (ours.UsedQuery, theirs.UsageAudioTranscriptionsParams),
    (ours.ImagesQuery, theirs.UsageImagesParams),
    (ours.StoresQuery, theirs.UsageVectorStoresParams),
    (ours.StoresQuery, theirs.UsageCodeInterpreterSessionsParams),
    (ours.FileSearchQuery, theirs.UsageFileSearchCallsParams),
    (ours.WebSearchQuery, theirs.UsageWebSearchCallsParams),
    (ours.CostsQuery, theirs.UsageCostsParams),
]


@pytest.mark.parametrize(("kind", "model"), RESULTS, ids=lambda one: one.__name__)
def test_results(kind: type[msgspec.Struct], model: Any) -> None:
    assert not disagreements(kind, model)


@pytest.mark.parametrize(("kind", "params"), PARAMS, ids=lambda one: one.__name__)
def test_params(kind: type[msgspec.Struct], params: Any) -> None:
    assert not unread(kind, params)


@pytest.mark.parametrize(("kind", "params"), PARAMS, ids=lambda one: one.__name__)
def test_groups_are_all_of_openais(kind: type[msgspec.Struct], params: Any) -> None:
    """Each value that the client may group by is taken, and each width."""
    hints = get_type_hints(params)
    for name in ("group_by", "bucket_width"):
        for value in _texts(hints[name]):
            given = [value] if name == "group_by" else value
            msgspec.convert({"start_time": 0, name: given}, kind)


def _texts(annotation: Any) -> list[str]:
    if isinstance(annotation, str):
        return [annotation]
    return [text for part in getattr(annotation, "__args__", ()) for text in _texts(part)]


def test_amounts_are_numbers_to_the_nano_dollar() -> None:
    for nanos, text in ((0, b"0"), (1, b"0.000000001"), (12_345_678_901_234_567, b"12345678.901234567")):
        amount = ours.Amount(value=msgspec.Raw(usd_text(nanos).encode()))
        assert msgspec.json.encode(amount) == b'{"value":%s,"currency":"usd"}' % text
