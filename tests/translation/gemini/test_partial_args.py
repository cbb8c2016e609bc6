"""Arguments that come in pieces."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from trunkline.errors import UpstreamFailed
from trunkline.translation.gemini.partial_args import MOST_GAPS, Arguments
from trunkline.translation.gemini.shapes import PartialArg


def piece(path: str, **value: Any) -> PartialArg:
    return msgspec.json.decode(msgspec.json.encode({"jsonPath": path, **value}), type=PartialArg)


def put_together(*pieces: PartialArg) -> Any:
    arguments = Arguments()
    for one in pieces:
        arguments.take(one)
    return msgspec.json.decode(arguments.text())


def leaves(value: Any, path: str) -> list[PartialArg]:
    """As Vertex AI tells a value: each leaf with its place, texts in two pieces."""
    if isinstance(value, dict):
        found = []
        for name, inner in value.items():
            escaped = name.replace("\\", "\\\\").replace("'", "\\'")
            found += leaves(inner, f"{path}['{escaped}']")
        return found
    if isinstance(value, list):
        return [one for at, inner in enumerate(value) for one in leaves(inner, f"{path}[{at}]")]
    if isinstance(value, str):
        half = len(value) // 2
        return [piece(path, stringValue=value[:half], willContinue=True), piece(path, stringValue=value[half:])]
    if isinstance(value, bool):
        return [piece(path, boolValue=value)]
    return [piece(path, nullValue="NULL_VALUE") if value is None else piece(path, numberValue=value)]


LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(st.text(max_size=5), inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=examples(60))
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=3))
def test_a_value_that_comes_leaf_by_leaf_is_the_value(value: dict[str, Any]) -> None:
    assert put_together(*leaves(value, "$")) == value


def test_plain_names_and_quotes() -> None:
    assert put_together(
        piece("$.a.b", stringValue="x"),
        piece('$.a["c.d"][1]', numberValue=1.5),
        piece("$.a.b", stringValue="y"),
        piece("$.e", boolValue=False),
    ) == {"a": {"b": "xy", "c.d": [None, 1.5]}, "e": False}


def test_numbers_keep_their_digits() -> None:
    arguments = Arguments()
    one = msgspec.json.decode(b'{"jsonPath":"$.n","numberValue":12345678901234567890.10}', type=PartialArg)
    arguments.take(one)
    assert arguments.text() == '{"n":12345678901234567890.10}'


@pytest.mark.parametrize(
    "path", ["", "$", "a", "$.", "$[", "$..a", "$[-1]", "$[x]", "$.a]", f"$.a[{MOST_GAPS + 1}]", "$.a[9999999]"]
)
def test_places_that_cannot_be(path: str) -> None:
    with pytest.raises(UpstreamFailed):
        put_together(piece(path, numberValue=1))


def test_a_name_in_a_list_cannot_be() -> None:
    with pytest.raises(UpstreamFailed):
        put_together(piece("$.a[0]", numberValue=1), piece("$.a.b", numberValue=1))
