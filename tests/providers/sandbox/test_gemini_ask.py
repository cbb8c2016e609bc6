from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.gemini_exchange import THOUGHTS, TOOLS, ask_for
from trunkline.errors import InvalidRequest, NotFound
from trunkline.providers.sandbox.directives import Directives
from trunkline.providers.sandbox.gemini_ask import GeminiAsk, count, read
from trunkline.providers.sandbox.prompt import Form, Image
from trunkline.providers.sandbox.reply import MOST_CHARACTERS
from trunkline.providers.sandbox.words import MOST_TOKENS

CALL: JSON = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"city": "Ulm"}}}]}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAYAAAC56t6B"


def ask(body: JSON, name: str = "echo") -> GeminiAsk:
    return read(msgspec.json.encode(body), name)


def user(*parts: Any) -> JSON:
    return {"role": "user", "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def response(given: Any, *parts: Any) -> JSON:
    return {"functionResponse": {"name": "f", "response": given, "parts": list(parts)}}


def test_the_prompt_is_the_last_text_of_the_user_without_its_directives() -> None:
    picture = {"fileData": {"mimeType": "image/png", "fileUri": "https://e/x"}}
    found = ask({"contents": [user("[[seed=1]]"), {"role": "model", "parts": [{"text": "so?"}]},
                              user("[[tokens=3]] one", picture, {"text": "hm", "thought": True}, "two")]},
                "Sandbox-Gemini/Echo")  # fmt: skip
    assert (found.name, found.model, found.message) == ("sandbox-gemini/echo", "echo", "[[tokens=3]] one\ntwo")
    assert (found.prompt.text, found.prompt.told) == ("one\ntwo", Directives(tokens=3))
    assert found.prompt.images == [Image("https://e/x", "contents[2].parts[1].fileData.fileUri")]
    assert found.prompt.tokens == 4


def test_a_response_leaves_the_question_as_it_was() -> None:
    asked = user("[[calls=2]] Weather?")
    found = ask({"contents": [asked, CALL, user(response({"output": "sunny"}))]}, "tools").prompt
    assert (found.text, found.told.calls, found.results) == ("Weather?", 2, ["sunny"])
    found = ask({"contents": [asked, CALL, user(response({}), "And now?")]}, "tools").prompt
    assert (found.text, found.results) == ("And now?", [])


def test_responses_in_several_contents_are_one_answer() -> None:
    twice: JSON = {"role": "model", "parts": [*CALL["parts"], *CALL["parts"]]}
    contents = [user("hi"), twice, user(response({"output": "a"})), user(response({"output": "b"}))]
    assert ask({"contents": contents}, "tools").prompt.results == ["a", "b"]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (response({"output": "sunny"}), "sunny"),
        (response({"result": {"sky": "blue"}}), '{"sky": "blue"}'),
        (response({"sky": "blue"}), '{"sky": "blue"}'),
        (response({"error": "no such town"}), "(error) no such town"),
        (response({"output": "see"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}),
         "see [PNG, 2 x 3 pixels, 33 bytes.]"),
    ],
)  # fmt: skip
def test_results_say_what_was_in_them(part: JSON, said: str) -> None:
    assert ask({"contents": [user("Weather?"), CALL, user(part)]}, "tools").prompt.results == [said]


def test_pictures_in_either_alphabet_and_those_of_functions() -> None:
    def blob(data: str) -> JSON:
        return {"inlineData": {"mimeType": "image/png", "data": data}}

    look = user("look", blob("-_-_"), {"inlineData": {"mimeType": "audio/wav"}})
    found = ask({"contents": [look, CALL, user(response({}, blob(PNG)))]}, "vision").prompt.images
    assert [image.url for image in found] == ["data:image/png;base64,+/+/", f"data:image/png;base64,{PNG}"]
    assert found[1].where == "contents[2].parts[0].functionResponse.parts[0].inlineData.data"


@pytest.mark.parametrize(
    ("config", "n", "tokens", "characters", "top_logprobs"),
    [
        ({}, 1, MOST_TOKENS, MOST_CHARACTERS, None),
        ({"maxOutputTokens": 5}, 1, 5, MOST_CHARACTERS, None),
        ({"candidateCount": 4}, 4, MOST_TOKENS // 4, MOST_CHARACTERS // 4, None),
        (
            {"candidateCount": 2, "responseLogprobs": True, "logprobs": 4},
            2,
            MOST_TOKENS // 10,
            MOST_CHARACTERS // 10,
            4,
        ),
        ({"responseLogprobs": True}, 1, MOST_TOKENS, MOST_CHARACTERS, 0),
    ],
)
def test_bounds(config: JSON, n: int, tokens: int, characters: int, top_logprobs: int | None) -> None:
    found = ask(ask_for("hi", generationConfig={**config, "stopSequences": ["x"]}))
    assert (found.n, found.top_logprobs) == (n, top_logprobs)
    assert (found.bounds.tokens, found.bounds.characters, found.bounds.stops) == (tokens, characters, ["x"])


@pytest.mark.parametrize(
    ("config", "form"),
    [
        ({}, None),
        ({"responseMimeType": "text/plain"}, None),
        ({"responseMimeType": "application/json"}, Form(where="generationConfig.responseSchema")),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}},
            Form(schema={"type": "string"}, where="generationConfig.responseSchema"),
        ),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"const": 1}},
            Form(schema={"const": 1}, where="generationConfig.responseJsonSchema"),
        ),
        (
            {"responseFormat": [{"text": {"mimeType": "APPLICATION_JSON", "schema": {"const": 1}}}]},
            Form(schema={"const": 1}, where="generationConfig.responseFormat[0].text.schema"),
        ),
    ],
)
def test_forms(config: JSON, form: Form | None) -> None:
    assert ask(ask_for("hi", generationConfig=config), "json").prompt.form == form


@pytest.mark.parametrize(
    ("model", "config", "thinks", "shows"),
    [
        ("think", {}, True, False),
        ("think", THOUGHTS, True, True),
        ("think", {"thinkingConfig": {"thinkingBudget": 0}}, False, False),
        ("tools", {}, False, False),
        ("tools", THOUGHTS, True, True),
        ("echo", THOUGHTS, False, True),
    ],
)
def test_who_thinks(model: str, config: JSON, thinks: bool, shows: bool) -> None:
    found = ask(ask_for("hi", generationConfig=config), model)
    assert (found.thinks, found.shows_thoughts) == (thinks, shows)


def test_only_who_thinks_asks_for_signatures() -> None:
    body = {"contents": [user("hi"), CALL, user(response({}))]}
    ask(body, "tools")
    ask({**body, "generationConfig": THOUGHTS}, "echo")
    for model in ("tools", "think"):
        with pytest.raises(InvalidRequest, match="thought_signature"):
            ask({**body, "generationConfig": THOUGHTS}, model)


def test_counting_counts_as_the_answer_does() -> None:
    body = ask_for("one two", systemInstruction={"parts": [{"text": "be kind"}]}, tools=TOOLS)
    tokens = ask(body).prompt.tokens
    assert tokens > 6
    assert count(msgspec.json.encode({"generateContentRequest": body}), "echo") == tokens
    assert count(msgspec.json.encode({"contents": body["contents"]}), "echo") == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"systemInstruction": {"parts": []}}, "systemInstruction.parts"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": [user("[[sped=1]]")]}, "directive 'sped'"),
    ],
)
def test_what_is_refused(more: JSON, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask({**ask_for("hi"), **more})
    assert said in caught.value.message


def test_a_model_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="models/ecko is not found"):
        ask(ask_for("hi"), "ecko")
