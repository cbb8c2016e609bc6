"""OpenAI's envelope."""

from __future__ import annotations

from trunkline.wire import openai_errors


def test_an_error_body_has_all_four_keys() -> None:
    assert openai_errors.error_body("invalid_request_error", 'bad "x"', None, None) == (
        b'{"error":{"message":"bad \\"x\\"","type":"invalid_request_error","param":null,"code":null}}'
    )
    assert openai_errors.error_event("server_error", "m", "p", "c") == (
        b'data: {"error":{"message":"m","type":"server_error","param":"p","code":"c"}}\n\n'
    )
