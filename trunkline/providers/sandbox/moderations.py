"""The Moderations protocol: a text is flagged for what a `[[flag=violence]]` in it says, and for nothing else.

Source: the `openai` package's types/moderation_create_params.py and moderation.py.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import json_body, served
from trunkline.providers.sandbox.numbering import new_id
from trunkline.wire import codec

TEXT_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "sexual/minors",
)
IMAGE_CATEGORIES = (
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "violence",
    "violence/graphic",
)
"""Those that an image is looked at for too."""
CATEGORIES = (*TEXT_CATEGORIES, *IMAGE_CATEGORIES)

_FLAG = re.compile(r"\[\[flag=([^\]\s]{1,40})\]\]")
_FLAGGED_SCORE = 0.98
_OTHER_SCORE = 0.0001
_MOST_INPUTS = 1_000


class ImageURL(msgspec.Struct, forbid_unknown_fields=True):
    url: str


class ImagePart(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    image_url: ImageURL


class TextPart(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    text: str


class ModerationsRequest(msgspec.Struct, forbid_unknown_fields=True):
    input: str | Annotated[list[str | TextPart | ImagePart], Meta(min_length=1, max_length=_MOST_INPUTS)]
    model: str = "moderate"


class Moderation(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]


class Moderations(msgspec.Struct):
    id: str
    model: str
    results: list[Moderation]


_decoder = msgspec.json.Decoder(ModerationsRequest)


def answer(body: bytes) -> bytes:
    """One result for each string; parts of texts and images have one together. Raises InvalidRequest or NotFound."""
    request = json_body.read(_decoder, body)
    served.model_of(request.model, "/moderations")
    given = [request.input] if isinstance(request.input, str) else request.input
    texts = [each for each in given if isinstance(each, str)]
    if texts and len(texts) != len(given):
        raise InvalidRequest("input is a string, strings or parts, not some of each", param="input")
    if texts:
        results = [_moderated(text, ["text"]) for text in texts]
    else:
        parts = [each.text for each in given if isinstance(each, TextPart)]
        kinds = (["text"] if parts else []) + (["image"] if len(parts) < len(given) else [])
        results = [_moderated("\n".join(parts), kinds)]
    return codec.encode(Moderations(new_id("modr-"), request.model.casefold(), results))


def _moderated(text: str, kinds: list[str]) -> Moderation:
    flags = set(_FLAG.findall(text))
    if unknown := flags.difference(CATEGORIES):
        sentence = f"directive 'flag' names one of {', '.join(CATEGORIES)}, not {min(unknown)!r}"
        raise InvalidRequest(sentence, code="invalid_directive", param="input")
    return Moderation(
        flagged=bool(flags),
        categories={name: name in flags for name in CATEGORIES},
        category_scores={name: _FLAGGED_SCORE if name in flags else _OTHER_SCORE for name in CATEGORIES},
        category_applied_input_types={
            name: [kind for kind in kinds if kind == "text" or name in IMAGE_CATEGORIES] for name in CATEGORIES
        },
    )
