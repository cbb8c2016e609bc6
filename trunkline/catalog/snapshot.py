"""The data of genai-prices, read without importing the package: its module of data runs against recorders.

Importing it costs 90 ms and pulls in pydantic; this costs 10 ms. What is read is exactly what the package would have
built: its module of data is one list of constructor calls.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from trunkline.errors import Defect

PACKAGE = "genai_prices"

Node = tuple[str, dict[str, Any]]
"""A constructor call: the class's name and its keyword arguments."""


class Listed(msgspec.Struct, frozen=True, gc=False):
    """One model in a price list. `match`, `prices` and `variants` are nodes as the package writes them."""

    id: str
    name: str
    context_window: int | None
    match: Node
    prices: Node | list[Node]
    variants: list[Node] = []


class Snapshot(msgspec.Struct, frozen=True):
    """`lists`: the id of a provider -> its models, in the package's order."""

    version: str
    lists: dict[str, tuple[Listed, ...]]


class _Names(dict[str, Any]):
    """The names of the data module. Each class that it uses is a recorder, one that a later version adds as well."""

    def __missing__(self, name: str) -> Callable[..., Node]:
        if not name[0].isupper():
            raise KeyError(name)

        def record(**fields: Any) -> Node:
            return name, fields

        self[name] = record
        return record


class _NoTypes:
    """What `from .types import *` finds: nothing, so that the recorders stay."""

    __all__ = ()


def _import(name: str, names: Any = None, local: Any = None, wanted: tuple[str, ...] = (), level: int = 0) -> object:
    return _NoTypes if level else builtins.__import__(name, names, local, wanted, level)


def read() -> Snapshot:
    """Raises Defect when the package is not there or is no longer written as a list of providers."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise Defect("The package genai-prices is not installed; install Trunkline's requirements again.")
    file = Path(found.submodule_search_locations[0]) / "data.py"
    # The loader takes the byte code that the installer made; get_code runs nothing.
    code = importlib.machinery.SourceFileLoader(f"{PACKAGE}.data", str(file)).get_code(f"{PACKAGE}.data")
    if code is None:
        raise Defect(f"{file} holds no code.")
    names = _Names(list=list, dict=dict, tuple=tuple)
    # The same trust as an import of the package: it is in the hash-locked requirements.
    exec(code, {"__builtins__": {**vars(builtins), "__import__": _import}, "__name__": "data"}, names)  # noqa: S102
    version = f"genai-prices {importlib.metadata.version('genai-prices')}"
    return Snapshot(version=version, lists=dict(_lists(names["providers"])))


def _lists(providers: list[Node]) -> Iterator[tuple[str, tuple[Listed, ...]]]:
    for _, provider in providers:
        yield (
            provider["id"],
            tuple(
                Listed(
                    id=model["id"],
                    name=model.get("name") or model["id"],
                    context_window=model.get("context_window"),
                    match=model["match"],
                    prices=model["prices"],
                    variants=model.get("price_variants") or [],
                )
                for _, model in provider.get("models", ())
            ),
        )


def spellings(match: Node) -> list[str]:
    """The names that a match rule spells out, as it spells them."""
    kind, fields = match
    if kind == "ClauseEquals":
        return [fields["equals"]]
    if kind == "ClauseOr":
        return [name for clause in fields["or_"] for name in spellings(clause)]
    return []
