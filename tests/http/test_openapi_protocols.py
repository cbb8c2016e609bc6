"""The document's word on protocols beside OpenAI's agrees with the types of their own SDKs."""

from __future__ import annotations

import msgspec
from anthropic import types

from trunkline.http import openapi_protocols


def test_what_is_said_of_a_message_is_what_the_sdk_reads() -> None:
    usage = openapi_protocols.MessageUsage(input_tokens=1, output_tokens=2)
    message = openapi_protocols.AnthropicMessage(
        id="msg_1",
        type="message",
        role="assistant",
        model="m",
        content=[{"type": "text", "text": "hi"}],
        stop_reason="end_turn",
        stop_sequence=None,
        usage=usage,
    )
    read = types.Message.model_validate_json(msgspec.json.encode(message))
    assert read.content[0].type == "text"
    counted = types.MessageTokensCount.model_validate_json(
        msgspec.json.encode(openapi_protocols.MessageTokensCount(input_tokens=3))
    )
    assert counted.input_tokens == 3


def test_every_path_has_a_schema_that_is_described() -> None:
    described = {kind.__name__ for kind in openapi_protocols.STRUCTS}
    for item in openapi_protocols.paths().values():
        body = item["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        assert body.rpartition("/")[2] in described
