from __future__ import annotations

from trunkline.wire.anthropic_messages import error_body


def test_the_error_envelope() -> None:
    assert error_body("not_found_error", 'no "x"', "req_1") == (
        b'{"type":"error","error":{"type":"not_found_error","message":"no \\"x\\""},"request_id":"req_1"}'
    )
