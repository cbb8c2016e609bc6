"""Every protocol's room offers the same, under its own name."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import trunkline.translation
from trunkline.translation.translator import Translator

ROOMS = sorted(path.parent.name for path in Path(trunkline.translation.__path__[0]).glob("*/translator.py"))


def test_there_are_rooms() -> None:
    assert "openai_chat" in ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_found_by_its_protocol(room: str) -> None:
    translator = importlib.import_module(f"trunkline.translation.{room}.translator").TRANSLATOR
    assert isinstance(translator, Translator)
    assert translator.protocol == room
    keys = [(loss.name, loss.how, loss.direction) for loss in translator.losses]
    assert keys
    assert len(keys) == len(set(keys)), "a line for each"
    assert all(loss.why for loss in translator.losses)
