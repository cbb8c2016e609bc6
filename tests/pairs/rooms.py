"""The rooms of translation, by their protocols' names."""

from __future__ import annotations

import importlib

from trunkline.translation.translator import Translator


def translator(protocol: str) -> Translator:
    found: Translator = importlib.import_module(f"trunkline.translation.{protocol}.translator").TRANSLATOR
    return found
