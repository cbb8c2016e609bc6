"""Items as the SDK's types have them, and what OpenAI refuses of them."""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
import pytest
from openai.types.responses import response_input_item_param as sdk
from openai.types.responses.easy_input_message_param import EasyInputMessageParam
from openai.types.responses.response_compaction_item_param_param import ResponseCompactionItemParamParam
from openai.types.responses.response_custom_tool_call_output_param import ResponseCustomToolCallOutputParam
from openai.types.responses.response_custom_tool_call_param import ResponseCustomToolCallParam
from openai.types.responses.response_function_tool_call_param import ResponseFunctionToolCallParam
from openai.types.responses.response_input_file_param import ResponseInputFileParam
from openai.types.responses.response_input_image_param import ResponseInputImageParam
from openai.types.responses.response_input_text_param import ResponseInputTextParam
from openai.types.responses.response_output_message_param import ResponseOutputMessageParam
from openai.types.responses.response_output_refusal_param import ResponseOutputRefusalParam
from openai.types.responses.response_output_text_param import ResponseOutputTextParam
from openai.types.responses.response_reasoning_item_param import ResponseReasoningItemParam

from trunkline.errors import InvalidRequest, NotFound, TrunklineError
from trunkline.providers.sandbox import responses_input
from trunkline.providers.sandbox.responses_input import Talk, reasoning_of, seal_compaction, seal_reasoning

JSON = dict[str, Any]
USER = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "done"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "y"}]}
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [],
    "encrypted_content": seal_reasoning("rs_1", "think", "hm"),
}


def read(*items: JSON, model: str = "think", store: bool = True) -> Talk:
    return responses_input.read([msgspec.Raw(msgspec.json.encode(item)) for item in items], model, store=store)


def refusal(*items: JSON, model: str = "think", store: bool = True) -> TrunklineError:
    with pytest.raises(TrunklineError) as caught:
        read(*items, model=model, store=store)
    return caught.value


def test_a_string_is_a_user_message() -> None:
    talk = responses_input.read("hi", "echo", store=True)
    assert (talk.texts, talk.asked, talk.places) == ([["hi"]], 0, ["input"])


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (responses_input.Message, [sdk.Message, EasyInputMessageParam]),
        (responses_input.AssistantMessage, [ResponseOutputMessageParam, EasyInputMessageParam]),
        (responses_input.FunctionCall, [ResponseFunctionToolCallParam]),
        (responses_input.FunctionCallOutput, [sdk.FunctionCallOutput]),
        (responses_input.CustomToolCall, [ResponseCustomToolCallParam]),
        (responses_input.CustomToolCallOutput, [ResponseCustomToolCallOutputParam]),
        (responses_input.Reasoning, [ResponseReasoningItemParam]),
        (responses_input.Compaction, [ResponseCompactionItemParamParam]),
        (responses_input.InputText, [ResponseInputTextParam]),
        (responses_input.InputImage, [ResponseInputImageParam]),
        (responses_input.InputFile, [ResponseInputFileParam]),
        (responses_input.OutputText, [ResponseOutputTextParam]),
        (responses_input.OutputRefusal, [ResponseOutputRefusalParam]),
    ],
)
def test_fields_are_those_of_the_sdk(mine: type[msgspec.Struct], theirs: list[type]) -> None:
    known = {field.encode_name for field in msgspec.structs.fields(mine)} | {"type"}
    expected = {name for each in theirs for name in get_type_hints(each)}
    # A message that came from the list of input items has an id, which the SDK's input type leaves out.
    assert known - expected <= ({"id"} if mine is responses_input.Message else set())
    assert expected <= known


def test_every_kind_of_item_is_read_in_its_place() -> None:
    talk = read(
        {"role": "developer", "content": "be kind"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "http://x/y", "detail": "auto"},
                {"type": "input_file", "file_data": "data:x", "filename": "a.pdf"},
            ],
        },
        REASONING,
        {**CALL, "id": "fc_1", "status": "completed"},
        OUTPUT,
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "well", "annotations": []},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        CUSTOM,
        CUSTOM_OUTPUT,
    )
    assert talk.texts == [["be kind"], ["look"], [], [], ["done"], ["well", "no"], [], ["y"]]
    assert talk.asked == 1
    assert [(image.url, image.where) for image in talk.images] == [("http://x/y", "input[1].content[1].image_url")]
    assert talk.results == ["y"]


def test_a_picture_that_a_tool_brings_is_seen_and_told_among_its_results() -> None:
    picture = {"type": "input_image", "image_url": "http://x/y", "detail": "auto"}
    brought = {**OUTPUT, "output": [{"type": "input_text", "text": "see"}, picture]}
    talk = read(USER, CALL, brought)
    assert [(image.url, image.where) for image in talk.images] == [("http://x/y", "input[2].output[1].image_url")]
    assert talk.results == ["see [an http URL, which the sandbox does not fetch.]"]


@pytest.mark.parametrize(
    ("items", "param", "code"),
    [
        ([{}], "input[0].role", "missing_required_parameter"),
        ([{"role": "tool", "content": "x"}], "input[0].role", "invalid_value"),
        ([{"role": "user"}], "input[0].content", "missing_required_parameter"),
        ([{**USER, "x": 1}], "input[0].x", "unknown_parameter"),
        ([{"role": "user", "content": [{"type": "output_text", "text": "x"}]}], "input[0].content[0].type", None),
        ([{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}], "input[0].content[0].type", None),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "input[0].content[0].type", None),
        ([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}], "input[0].content[0].file_id", None),
        ([{"role": "user", "content": [{"type": "input_image"}]}], "input[0].content[0].image_url", None),
        ([{"role": "user", "content": [{"type": "input_file"}]}], "input[0].content[0].file_data", None),
        ([USER, {"type": "web_search_call", "id": "ws_1"}], "input[1].type", None),
        ([{**CALL, "call_id": "c" * 65}], "input[0].call_id", "string_above_max_length"),
        ([{**CALL, "name": "a b"}], "input[0].name", "invalid_value"),
        ([{**CALL, "id": "call_1"}], "input[0].id", "invalid_value"),
        ([{**CUSTOM, "id": "fc_1"}], "input[0].id", "invalid_value"),
        ([{**REASONING, "id": "msg_1"}], "input[0].id", "invalid_value"),
        ([{"role": "assistant", "content": "x", "id": "rs_1"}], "input[0].id", "invalid_value"),
        ([CALL, OUTPUT, OUTPUT], "input", None),
        ([OUTPUT, CALL], "input", None),
        ([CALL, USER], "input", None),
        ([CALL, {**CUSTOM_OUTPUT, "call_id": "c1"}], "input", None),
        ([{**CALL, "id": "fc_1"}, OUTPUT, {**CALL, "id": "fc_1", "call_id": "c3"}], "input", None),
    ],
)
def test_what_openai_refuses_is_refused_by_its_place(items: list[JSON], param: str, code: str | None) -> None:
    error = refusal(*items)
    assert isinstance(error, InvalidRequest)
    assert error.param == param
    assert code is None or error.code == code


@pytest.mark.parametrize(
    "item",
    [
        {"type": "item_reference", "id": "msg_1"},
        {"id": "msg_1"},
        {**REASONING, "encrypted_content": None},
    ],
)
def test_what_would_have_to_be_kept_is_not_found(item: JSON) -> None:
    error = refusal(USER, item)
    assert isinstance(error, NotFound)
    assert item["id"] in error.message


def test_nothing_is_no_input() -> None:
    assert refusal().param == "input"


@pytest.mark.parametrize(
    "change",
    [
        {"id": "rs_2"},
        {"encrypted_content": str(REASONING["encrypted_content"])[:-6] + "AAAAAA"},
        {"encrypted_content": seal_compaction("hm")},
        {"encrypted_content": "hm"},
    ],
)
def test_reasoning_comes_back_as_it_was_given(change: JSON) -> None:
    assert read(USER, REASONING).removed == []
    assert read(USER, {**REASONING, "id": None}).removed == []
    assert refusal(USER, {**REASONING, **change}).code == "invalid_encrypted_content"


def test_reasoning_of_another_model_is_passed_over_and_told() -> None:
    (removed,) = read(USER, REASONING, model="tools").removed
    assert msgspec.to_builtins(removed) == {
        "id": "rs_1",
        "action": "removed",
        "reason": "model_mismatch",
        "type": "reasoning",
    }


def test_a_call_needs_the_reasoning_it_was_made_with_when_nothing_is_stored() -> None:
    call = {**CALL, "id": "fc_9_1"}
    assert (reasoning_of("fc_9_1"), reasoning_of("fc_9")) == ("rs_1", None)
    assert read(USER, REASONING, call, OUTPUT, store=False).results == ["done"]
    assert read(USER, {**REASONING, "id": None}, call, OUTPUT, store=False).results == ["done"]
    assert read(USER, call, OUTPUT, store=True).results == ["done"]
    assert read(USER, {**CALL, "id": "fc_9"}, OUTPUT, store=False).results == ["done"]
    for items in ([USER, call, OUTPUT], [USER, call, OUTPUT, REASONING]):
        error = refusal(*items, store=False)
        assert error.message == (
            "Item 'fc_9_1' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'."
        )


def test_a_compaction_speaks_for_the_user() -> None:
    talk = read({"type": "compaction", "encrypted_content": seal_compaction("the old question"), "id": "cmp_1"})
    assert (talk.texts, talk.asked) == ([["the old question"]], 0)
    assert refusal({"type": "compaction", "encrypted_content": "x"}).code == "invalid_encrypted_content"
