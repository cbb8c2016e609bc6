from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.providers.sandbox.strays import strays


class Leaf(msgspec.Struct, tag_field="type", tag="leaf", rename="camel"):
    long_name: int = 0
    anything: Any = None


class Twig(msgspec.Struct, tag_field="type", tag="twig"):
    leaves: str | list[Leaf] = []


class Tree(msgspec.Struct):
    twig: Twig | Leaf | None = None


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ({}, []),
        ({"twig": None, "root": 1}, [((), "root")]),
        ({"twig": {"type": "leaf", "longName": 1, "anything": {"x": [{"y": 1}]}}}, []),
        ({"twig": {"type": "leaf", "long_name": 1}}, [(("twig",), "long_name")]),
        ({"twig": {"type": "twig", "leaves": "text"}}, []),
        (
            {"twig": {"type": "twig", "leaves": [{"type": "leaf"}, {"type": "leaf", "a": 1, "b": 2}], "c": 3}},
            [(("twig", "leaves", 1), "a"), (("twig", "leaves", 1), "b"), (("twig",), "c")],
        ),
    ],
)
def test_strays_are_found_where_they_stand(raw: dict[str, Any], found: list[Any]) -> None:
    assert list(strays(raw, msgspec.convert(raw, Tree))) == found
