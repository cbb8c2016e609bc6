from __future__ import annotations

import pytest

from trunkline.catalog.models import Capabilities, Model
from trunkline.errors import InvalidRequest
from trunkline.http.model_filter import ModelFilter
from trunkline.routing.table import Listing


def line(provider: str, takes: tuple[str, ...], gives: tuple[str, ...], **can: bool) -> Listing:
    model = Model(
        id=f"{provider}/m",
        provider=provider,
        upstream="m",
        name="m",
        input_modalities=takes,
        output_modalities=gives,
        capabilities=Capabilities(**can),
    )
    return Listing(id=model.id, provider_id=provider, model=model)


CHAT = line("openai", ("text", "image"), ("text",), tools=True, vision=True)
PAINTER = line("google", ("text",), ("image",), tools=False)
SECRET = Listing(id="office/llama", provider_id="Office")
LINES = [CHAT, PAINTER, SECRET]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ModelFilter(), LINES),
        (ModelFilter(provider=" , "), LINES),
        (ModelFilter(provider="OPENAI"), [CHAT]),
        (ModelFilter(provider="office"), [SECRET]),
        (ModelFilter(provider="openai, google"), [CHAT, PAINTER]),
        (ModelFilter(modality="image"), [CHAT, PAINTER]),
        (ModelFilter(modality="Image,text", capability="vision"), [CHAT]),
        (ModelFilter(capability="tools"), [CHAT]),
        (ModelFilter(capability="reasoning"), []),
        (ModelFilter(provider="google", modality="text"), [PAINTER]),
    ],
)
def test_a_filter_lets_through_what_has_all_that_is_asked(wanted: ModelFilter, found: list[Listing]) -> None:
    wanted.check(LINES)
    assert [one for one in LINES if wanted.admits(one)] == found


@pytest.mark.parametrize(
    ("wanted", "param", "known"),
    [
        (ModelFilter(provider="mistral"), "provider", "google, office, openai"),
        (ModelFilter(modality="text,smell"), "modality", "image, text"),
        (ModelFilter(capability="fly" * 100), "capability", "json_schema, reasoning, streaming, tools, vision"),
    ],
)
def test_a_value_that_nothing_has_is_refused(wanted: ModelFilter, param: str, known: str) -> None:
    with pytest.raises(InvalidRequest, match=known) as refused:
        wanted.check(LINES)
    assert refused.value.param == param
    assert len(refused.value.message) < 200
