"""Fields that a request has and its protocol has not, at any depth. Strict vendors refuse them by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import msgspec

Path = tuple[str | int, ...]


def strays(raw: object, read: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where a stray field stands, and its name. `read` is what `msgspec.convert` made of `raw`.

    What is read into anything but structs and lists of them may hold any field.
    """
    if isinstance(read, msgspec.Struct) and isinstance(raw, dict):
        known = _fields(type(read))
        for name, value in raw.items():
            if name not in known:
                yield path, str(name)
            elif attribute := known[name]:
                yield from strays(value, getattr(read, attribute), (*path, name))
    elif isinstance(read, list) and isinstance(raw, list):
        for at, (mine, yours) in enumerate(zip(raw, read, strict=True)):
            yield from strays(mine, yours, (*path, at))


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Names on the wire, each with its attribute; the tag of a union has none."""
    found = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
    tag = kind.__struct_config__.tag_field
    return {**found, tag: ""} if tag else found
