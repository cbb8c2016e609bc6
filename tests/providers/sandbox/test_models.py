from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import models
from trunkline.providers.sandbox.directives import RANGES, Directives
from trunkline.providers.sandbox.prompt import Form, Image, Offer, Prompt, ShownReasoning, Tools
from trunkline.providers.sandbox.reply import MOST_CHARACTERS
from trunkline.providers.sandbox.signatures import sign
from trunkline.providers.sandbox.words import count


def prompt(text: str = "Hello old friend", **more: Any) -> Prompt:
    return Prompt(text=text, tokens=count(text), **more)


def say(model: str, asked: Prompt, seed: int = 0) -> str:
    return models.CHAT[model](asked, seed).text


def test_every_model_has_its_directives() -> None:
    assert set(models.CHAT) == set(RANGES)


@pytest.mark.parametrize("model", ["echo", "story", "think", "vision", "faulty", "tools"])
@given(text=st.text(st.sampled_from("ab \n"), max_size=20), tokens=st.integers(1, 200))
def test_text_is_as_long_as_told_and_never_empty(model: str, text: str, tokens: int) -> None:
    assert count(say(model, prompt(text, told=Directives(tokens=tokens)))) == tokens
    assert say(model, prompt(text)).strip()


@pytest.mark.parametrize("model", list(models.CHAT))
def test_the_same_prompt_has_the_same_reply(model: str) -> None:
    assert models.CHAT[model](prompt(), 5) == models.CHAT[model](prompt(), 5)


@pytest.mark.parametrize("model", ["story", "faulty"])
def test_another_seed_has_another_story(model: str) -> None:
    assert say(model, prompt(), 1) != say(model, prompt(), 2)


def test_seeds() -> None:
    assert models.seed_of(prompt(told=Directives(seed=7), seed=9)) == 7
    assert models.seed_of(prompt("a")) != models.seed_of(prompt("b"))
    assert models.seed_of(prompt("a", seed=1)) != models.seed_of(prompt("a", seed=2))


def test_echo_repeats() -> None:
    assert say("echo", prompt(" Hello,\n  world ")) == " Hello,\n  world "
    assert say("echo", prompt("a b", told=Directives(tokens=5))) == "a b a b a"
    assert "no text" in say("echo", prompt(" \n"))
    assert len(say("echo", prompt("a" * 3_000_000))) == MOST_CHARACTERS + 1


def test_json_gives_an_object_of_the_form() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert msgspec.json.decode(say("json", prompt("give me 12", form=Form(schema=schema)))) == {"n": 12}
    for form in (Form(), None):
        assert msgspec.json.decode(say("json", prompt("give me 12", form=form)))["words"] == 3


def test_tools_answers_with_the_results_or_in_the_form() -> None:
    tools = Tools(offers=[Offer("f", None, "")])
    assert say("tools", prompt(tools=tools, results=["It is sunny.", "And warm."])).endswith("It is sunny. And warm.")
    assert "No tool is called" in say("tools", prompt())
    form = Form(schema={"const": {"a": 1}})
    assert say("tools", prompt(tools=tools, results=["x"], form=form)) == '{"a": 1}'


@pytest.mark.parametrize(("effort", "tokens"), list(models.EFFORTS.items()))
def test_reasoning_is_as_long_as_the_effort(effort: str, tokens: int) -> None:
    reply = models.think(prompt(effort=effort), 0)
    assert count(reply.reasoning) == tokens
    assert "This reasoning is made up" in reply.reasoning or tokens == 0
    assert reply.text == "The message has 3 words: Hello old friend"


def test_reasoning_must_come_back_as_it_was_given() -> None:
    good = ShownReasoning(text="thought", signature=sign("thought"), where="here[0]")
    bad = ShownReasoning(text="thought!", signature=sign("thought"), where="here[1]")
    assert models.think(prompt(shown=[good]), 0).text
    with pytest.raises(InvalidRequest) as caught:
        models.think(prompt(shown=[good, bad]), 0)
    assert caught.value.param == "here[1]"


def test_vision_describes_each_image() -> None:
    gif = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    said = say("vision", prompt(images=[Image(gif, "a"), Image("https://example.com/x.png", "b")]))
    assert "Image 1: GIF, 1 x 1 pixels, 42 bytes." in said
    assert "Image 2: an http URL, which the sandbox does not fetch." in said
    assert say("vision", prompt()) == "The message has no image."
    with pytest.raises(InvalidRequest):
        say("vision", prompt(images=[Image(gif, "a")] * 101))
