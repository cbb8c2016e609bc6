"""The models. Each is a function from a prompt and a seed to a reply; none of them is a language model."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import images, schema_values, signatures, tools, words
from trunkline.providers.sandbox.prompt import Form, Prompt
from trunkline.providers.sandbox.reply import MOST_CHARACTERS, Reply

Model = Callable[[Prompt, int], Reply]

STORY_TOKENS = 60
FAULTY_TOKENS = 20
_QUOTED_WORDS = 12
_MOST_IMAGES = 100

EFFORTS = {"none": 0, "minimal": 8, "low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 256}
"""Tokens of made-up reasoning by the effort that was asked for."""


def seed_of(prompt: Prompt) -> int:
    """The directive's seed, else one made of the caller's seed and the text: other prompts, other stories."""
    if prompt.told.seed is not None:
        return prompt.told.seed
    return zlib.crc32(prompt.text.encode()) ^ prompt.seed


def echo(prompt: Prompt, seed: int) -> Reply:
    text = prompt.text[: MOST_CHARACTERS + 1]
    if not text or text.isspace():
        text = "The message has no text to repeat."
    return Reply(text=words.fit(text, prompt.told.tokens))


def story(prompt: Prompt, seed: int) -> Reply:
    return Reply(text=words.story(seed, prompt.told.tokens or STORY_TOKENS))


def faulty(prompt: Prompt, seed: int) -> Reply:
    return Reply(text=words.story(seed, prompt.told.tokens or FAULTY_TOKENS))


def call_tools(prompt: Prompt, seed: int) -> Reply:
    if calls := tools.calls_for(prompt, seed):
        return Reply(calls=calls)
    if prompt.form:
        return Reply(text=_formed(prompt, prompt.form, seed))
    if prompt.results:
        text = "The tool answered: " + " ".join(prompt.results)[:MOST_CHARACTERS]
    else:
        text = "No tool is called; the message was: " + _quoted(prompt.text)
    return Reply(text=words.fit(text, prompt.told.tokens))


def json_form(prompt: Prompt, seed: int) -> Reply:
    return Reply(text=_formed(prompt, prompt.form or Form(), seed))


def _formed(prompt: Prompt, form: Form, seed: int) -> str:
    if form.schema is True:
        return tools.written({"message": _quoted(prompt.text), "words": words.count(prompt.text), "seed": seed})
    return tools.written(schema_values.fill(form.schema, schema_values.hints_of(prompt.text), seed, form.where))


def think(prompt: Prompt, seed: int) -> Reply:
    """Made-up reasoning, then an answer. Reasoning that comes back must be as it was given."""
    for shown in prompt.shown:
        if not signatures.is_signed(shown.text, shown.signature):
            raise InvalidRequest(
                "the signature is not that of this reasoning: pass reasoning_details back unchanged",
                code="invalid_signature",
                param=shown.where,
            )
    length = EFFORTS[prompt.effort or "medium"]
    reasoning = words.fit(f"This reasoning is made up. {words.story(seed, length)}", length) if length else ""
    said = words.count(prompt.text)
    answer = f"The message has {said} {'word' if said == 1 else 'words'}: {_quoted(prompt.text)}"
    return Reply(reasoning=reasoning, text=words.fit(answer, prompt.told.tokens))


def vision(prompt: Prompt, seed: int) -> Reply:
    if len(prompt.images) > _MOST_IMAGES:
        raise InvalidRequest(f"more than {_MOST_IMAGES} images", param="messages")
    told = [
        f"Image {number}: {images.describe(image.url, image.where)}" for number, image in enumerate(prompt.images, 1)
    ]
    return Reply(text=words.fit(" ".join(told) or "The message has no image.", prompt.told.tokens))


def _quoted(text: str) -> str:
    """The first words of `text`, for a sentence about it."""
    start = words.pieces(text[:1_000].strip())
    return "".join(start[:_QUOTED_WORDS]) or "(no text)"


CHAT: dict[str, Model] = {
    "echo": echo,
    "story": story,
    "tools": call_tools,
    "json": json_form,
    "think": think,
    "vision": vision,
    "faulty": faulty,
}
