from __future__ import annotations

import msgspec
import pytest

from trunkline.http import refusals
from trunkline.http.refusals import Refusal

ALL = {name: value for name, value in vars(refusals).items() if isinstance(value, Refusal)}


@pytest.mark.parametrize("name", ALL)
def test_a_refusal_is_one_whole_response(name: str) -> None:
    refusal = ALL[name]
    head, _, body = refusal.response([(b"x-request-id", b"call_1")]).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    assert first.startswith(b"HTTP/1.1 %d " % refusal.status)
    assert headers[b"x-request-id"] == b"call_1"
    assert headers[b"connection"] == b"close"
    assert int(headers[b"content-length"]) == len(body)
    error = msgspec.json.decode(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["message"], error["code"]) == (str(refusal), refusal.code)
    assert (error["type"] == "server_error") == (refusal.status >= 500 and refusal.status not in (501, 505))
    assert (b"retry-after" in headers) == (refusal.status == 503)
