"""The settings as text, written from the options structs: the reference page, and the file that `init` makes.

`python -m trunkline.cli.reference docs/reference/settings.md` writes the page anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from trunkline.config import NEEDS_RESTART, PREFIX, SECTIONS, TABLES, shape_of

UNITS: Final = {"_bytes_s": "bytes a second", "_bytes": "bytes", "_ms": "milliseconds", "_s": "seconds"}
NAMED: Final = {"providers": "NAME", "models": '"NAME"', "prices": '"PROVIDER/MODEL"'}

OPENING: Final = """\
# Settings

Written by `python -m trunkline.cli.reference`; do not edit.

Trunkline reads one TOML file: the one that `--config` names, else `trunkline.toml` in the working directory, else none.
A variable `TRUNKLINE_<SECTION>__<NAME>` replaces what the file says, and a command line option replaces both. In a
variable a list is separated by commas or written as JSON, and an empty text unsets a setting that may be unset. In the
name of a provider, model or price, characters that a variable cannot hold are spelled `_`:
`TRUNKLINE_PROVIDERS__OFFICE_VLLM__API_KEY` belongs to `[providers.office-vllm]`.

A secret is written as `env:NAME` (the variable NAME), `file:PATH` (relative to the settings file) or as itself. Paths
of certificates are relative to the settings file, a SQLite file is relative to the data directory.

An unknown section or setting, a wrong type and a value out of range are errors at the start. A reload (`trunkline
reload`, SIGHUP) that meets one keeps the settings that were in force.
Changes in {restart} wait for a restart; all others count at once.
"""

EXAMPLES: Final = """
# [providers.deepseek]
# api_key = "env:DEEPSEEK_API_KEY"

# [providers.office-vllm]
# kind = "vllm"
# base_url = "http://10.0.0.5:8000/v1"

# [models."fast"]
# deployments = ["deepseek/deepseek-chat", "sandbox/echo"]

# [prices."office-vllm/llama"]
# input = 0.15
# output = 0.60
"""


class Entry(msgspec.Struct, frozen=True):
    """One setting. `kind`, `default` and `unit` are words for people, `name` is dotted below its section."""

    name: str
    kind: str
    default: str
    unit: str
    about: str


def entries(options: type[msgspec.Struct], above: str = "") -> Iterator[Entry]:
    """The settings of a struct in order, those of structs inside it included."""
    for field in msgspec.structs.fields(options):
        shape = shape_of(field.type)
        name = above + field.name
        if isinstance(shape, inspect.StructType):
            yield from entries(shape.cls, f"{name}.")
            continue
        unit = next((unit for suffix, unit in UNITS.items() if field.name.endswith(suffix)), "")
        yield Entry(name, _kind(shape), _default(field), unit, _about(field.type))


def reference() -> str:
    """The page of all settings, in Markdown."""
    restart = " and ".join(f"`[{section}]`" for section in sorted(NEEDS_RESTART))
    parts = [OPENING.format(restart=restart.replace(" and ", ", ", len(NEEDS_RESTART) - 2))]
    for section, options in (SECTIONS | TABLES).items():  # type: ignore[operator]
        below = f".{NAMED[section]}" if section in NAMED else ""
        variable = f"{PREFIX}{section.upper()}__" + ("&lt;NAME&gt;__" if below else "")
        parts.append(
            f"\n## `[{section}{below}]`\n\n| Setting | Type | Default | Unit | What it is |\n|---|---|---|---|---|\n"
        )
        for entry in entries(options):
            spelled = variable + entry.name.upper().replace(".", "__")
            parts.append(
                f"| `{entry.name}`<br>{spelled} | {entry.kind} | {entry.default} | {entry.unit} | {entry.about} |\n"
            )
    return "".join(parts)


def template() -> str:
    """A settings file in which every setting stands commented out with its default."""
    lines = ["# Every line that is commented out shows the default. The whole list: docs/reference/settings.md\n"]
    for section, options in SECTIONS.items():
        lines.append(f"\n[{section}]\n")
        for entry in entries(options):
            value = entry.default.strip("`") if entry.default.startswith("`") else '""'
            lines.append(f"# {entry.about}\n# {entry.name} = {value}\n")
    return "".join([*lines, EXAMPLES])


def _kind(shape: inspect.Type) -> str:
    match shape:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            word = "whole number" if isinstance(shape, inspect.IntType) else "number"
            signs = {"≥": shape.ge, ">": shape.gt, "≤": shape.le, "<": shape.lt}
            return ", ".join([word, *(f"{sign} {bound:g}" for sign, bound in signs.items() if bound is not None)])
        case inspect.LiteralType():
            return " or ".join(f'`"{value}"`' for value in shape.values)
        case inspect.VarTupleType() | inspect.ListType():
            return "list of text"
        case inspect.DictType():
            return "table"
        case _:
            return "text"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is msgspec.NODEFAULT or field.default is None:
        return "not set"
    return f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:
    return "[]" if value == () else msgspec.json.encode(value).decode()


def _about(kind: Any) -> str:
    info = inspect.type_info(kind)
    schema = (info.extra_json_schema or {}) if isinstance(info, inspect.Metadata) else {}
    return str(schema.get("description", "")).replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
