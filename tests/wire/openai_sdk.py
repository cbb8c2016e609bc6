"""Our structs held against the classes of OpenAI's installed client, field by field."""

from __future__ import annotations

from typing import Any, Required, get_args, get_origin, get_type_hints

import msgspec
from pydantic import BaseModel


def fields_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def disagreements(
    kind: type[msgspec.Struct], model: type[BaseModel], additions: frozenset[str] = frozenset()
) -> list[str]:
    """What an answer may lack that the client needs, and what it has that the client does not know."""
    ours = fields_of(kind)
    theirs = {field.alias or name: field for name, field in model.model_fields.items()}
    found = [f"{name} is unknown" for name in ours.keys() - theirs.keys() - additions]
    for name, field in theirs.items():
        may_be_absent = name not in ours or msgspec.UnsetType in get_args(ours[name].type)
        if field.is_required() and may_be_absent:
            found.append(f"{name} is missing")
        literals = _literals(field.annotation)
        written = _literals(ours[name].type) if name in ours else frozenset()
        if literals and not written <= literals:
            found.append(f"{name} may be {sorted(map(str, written - literals))}")
    return found


def unread(kind: type[msgspec.Struct], params: Any, of_path: frozenset[str] = frozenset()) -> list[str]:
    """Parameters that the client sends and that would be refused as unknown, or that are needed but optional there."""
    ours, theirs = fields_of(kind), get_type_hints(params, include_extras=True)
    found = [f"{name} is refused" for name in theirs.keys() - ours.keys() - of_path]
    needed = {name for name, field in ours.items() if field.required}
    return found + [f"{name} is demanded" for name in needed - required(params)]


def required(params: Any) -> set[str]:
    """The library's own `__required_keys__` are empty: its annotations are text."""
    hints = get_type_hints(params, include_extras=True)
    return {name for name, hint in hints.items() if get_origin(hint) is Required}


def _literals(annotation: Any) -> frozenset[object]:
    """The values of the literals in it, None aside; nothing when any other text may stand there too."""
    parts = get_args(annotation)
    if str in parts or annotation is str:
        return frozenset()
    if not parts:
        return frozenset()
    found: set[object] = set()
    for part in parts:
        found |= {part} if isinstance(part, str) else _literals(part)
    return frozenset(found)
