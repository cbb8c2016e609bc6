"""The room's offer."""

from __future__ import annotations

from trunkline.translation.openai_responses.stream import Reader, Writer
from trunkline.translation.openai_responses.translator import TRANSLATOR


def test_the_room_offers_what_every_room_does() -> None:
    assert TRANSLATOR.protocol == "openai_responses"
    assert (TRANSLATOR.reader, TRANSLATOR.writer) == (Reader, Writer)
    assert TRANSLATOR.losses
