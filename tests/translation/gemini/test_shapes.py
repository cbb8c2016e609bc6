"""Parts as they are read: one object for a list, and which of a part's fields only this protocol has."""

from __future__ import annotations

import msgspec
import pytest

from trunkline.translation.gemini.shapes import CAMEL, HOSTED, Content, Part, listed


def test_one_for_a_list() -> None:
    many = msgspec.json.decode(b'{"parts":[{"text":"a"},{"text":"b"}]}', type=Content)
    one = msgspec.json.decode(b'{"parts":{"text":"a"},"role":"model"}', type=Content)
    assert [part.text for part in listed(many.parts)] == ["a", "b"]
    assert [part.text for part in listed(one.parts)] == ["a"]
    assert list(listed(None)) == []


@pytest.mark.parametrize("name", HOSTED)
def test_what_only_this_protocol_has(name: str) -> None:
    part = msgspec.json.decode(b'{"%b":{}}' % CAMEL[name].encode(), type=Part)
    assert part.hosted() == name
    assert Part(text="x").hosted() is None
