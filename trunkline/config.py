"""The settings: one TOML file, the environment over it, the command line over both.

Each floor declares its own options struct; `SECTIONS` and `TABLES` list them under the names they have in the file.
This is the only reader of the environment. Every error is SettingsInvalid, names the setting and never shows a value
that could be a secret.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from trunkline.catalog.prices import PriceOptions
from trunkline.errors import SettingsInvalid
from trunkline.http import server
from trunkline.http.server import ServerOptions
from trunkline.observe import LogOptions
from trunkline.pipeline.call import CompatOptions
from trunkline.pipeline.treasury import BudgetsOptions, LedgerOptions
from trunkline.pipeline.upload import UploadOptions
from trunkline.policy.keys import KeysOptions
from trunkline.ports.responses import ResponsesOptions
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.discovery import DiscoveryOptions
from trunkline.providers.environment_keys import ProviderKeys
from trunkline.providers.transport import ProxySettings, Timers, TransportOptions
from trunkline.routing.table import RouteOptions
from trunkline.storage.database import DatabaseOptions
from trunkline.storage.requests import RequestsOptions

Options = TypeVar("Options", bound=msgspec.Struct)
Name = tuple[str, ...]

SECTIONS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "server": ServerOptions,
    "database": DatabaseOptions,
    "keys": KeysOptions,
    "timeouts": Timers,
    "transport": TransportOptions,
    "discovery": DiscoveryOptions,
    "log": LogOptions,
    "compat": CompatOptions,
    "uploads": UploadOptions,
    "responses": ResponsesOptions,
    "budgets": BudgetsOptions,
    "ledger": LedgerOptions,
    "requests": RequestsOptions,
}
TABLES: Final[Mapping[str, type[msgspec.Struct]]] = {
    "providers": ProviderOptions,
    "models": RouteOptions,
    "prices": PriceOptions,
}
NEEDS_RESTART: Final = frozenset({"server", "database", "keys", "transport"})
SECRETS: Final = frozenset(
    {"api_key", "access_key_id", "secret_access_key", "session_token", "client_secret", "pepper"}
)
SECRET_DOCUMENTS: Final = frozenset({"google_credentials"})
FILES: Final = frozenset({"tls_cert", "tls_key", "ca_file", "web_identity_token_file"})
DEFAULT_FILE: Final = "trunkline.toml"
DEFAULT_DATA_DIR: Final = ".trunkline"
PREFIX: Final = "TRUNKLINE_"
NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was configured, checked. `api_key` and `pepper` hold the values that they pointed to."""

    data_dir: Path
    path: Path | None = None
    environment_keys: ProviderKeys
    server: ServerOptions = ServerOptions()
    database: DatabaseOptions = DatabaseOptions()
    keys: KeysOptions = KeysOptions()
    providers: dict[str, ProviderOptions] = {}
    models: dict[str, RouteOptions] = {}
    prices: dict[str, PriceOptions] = {}
    timeouts: Timers = Timers()
    transport: TransportOptions = TransportOptions()
    discovery: DiscoveryOptions = DiscoveryOptions()
    log: LogOptions = LogOptions()
    compat: CompatOptions = CompatOptions()
    uploads: UploadOptions = UploadOptions()
    responses: ResponsesOptions = ResponsesOptions()
    budgets: BudgetsOptions = BudgetsOptions()
    ledger: LedgerOptions = LedgerOptions()
    requests: RequestsOptions = RequestsOptions()
    proxy: ProxySettings | None = None
    overrides: Mapping[str, object] = NOTHING

    def __repr__(self) -> str:
        return f"Settings(path={self.path}, data_dir={self.data_dir})"


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload did, as names of settings."""

    applied: tuple[str, ...]
    unchanged: tuple[str, ...]
    needs_restart: tuple[str, ...]


def load(
    path: Path | None = None,
    data_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] = NOTHING,
) -> Settings:
    """Reads and checks all settings and makes the data directory. `overrides` are typed: `{"server.port": 0}`.

    Without `path`, ./trunkline.toml is read when it exists. Raises SettingsInvalid.
    """
    if environment is None:
        environment = os.environ  # noqa: TID251 - this is the place
    file = _find(path)
    reading = _Reading(environment, file.parent if file is not None else Path.cwd())
    if file is not None:
        reading.add_file(file)
    reading.add_environment()
    reading.add_overrides(overrides)
    settings = Settings(
        data_dir=_make_data_dir(data_dir if data_dir is not None else Path(DEFAULT_DATA_DIR)),
        path=file,
        environment_keys=ProviderKeys(environment),
        proxy=_proxy(environment),
        overrides=dict(overrides),
        **reading.build(),
    )
    server.check(settings.server)
    return settings


def reload(old: Settings, environment: Mapping[str, str] | None = None) -> tuple[Settings, Changes]:
    """The settings as the file has them now, and what changed. What needs a restart keeps its old value until then.

    Raises SettingsInvalid when the file is bad: the caller goes on with `old`.
    """
    new = load(old.path, old.data_dir, environment, old.overrides)
    kept = {section: getattr(old, section) for section in NEEDS_RESTART}
    return msgspec.structs.replace(new, **kept), compare(old, new)


def misspelled_variables(environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Variables that lack an underscore to be a setting's, and the names that were probably meant.

    They are no error: Kubernetes makes `TRUNKLINE_SERVER_PORT` for a service that is called so.
    """
    if environment is None:
        environment = os.environ  # noqa: TID251 - this is the place
    for section, options in SECTIONS.items():
        for field in _fields(options):
            variable = f"{PREFIX}{section}_{field}".upper()
            if variable in environment:
                yield variable, f"{PREFIX}{section}__{field}".upper()


def compare(old: Settings, new: Settings) -> Changes:
    """Which settings differ, and whether they count at once or after a restart."""
    before, after = dict(_flat(old)), dict(_flat(new))
    changed: dict[bool, list[str]] = {True: [], False: []}
    unchanged = []
    for name in sorted(before.keys() | after.keys()):
        if name in before and name in after and before[name] == after[name]:
            unchanged.append(_dotted(name))
        else:
            changed[name[0] in NEEDS_RESTART].append(_dotted(name))
    return Changes(applied=tuple(changed[False]), unchanged=tuple(unchanged), needs_restart=tuple(changed[True]))


def _flat(settings: Settings) -> Iterator[tuple[Name, object]]:
    for section in SECTIONS:
        for field, value in msgspec.structs.asdict(getattr(settings, section)).items():
            yield (section, field), value
    for section in TABLES:
        for name, options in getattr(settings, section).items():
            for field, value in msgspec.structs.asdict(options).items():
                yield (section, name, field), value


class _Reading:
    """The settings while they are being gathered: a tree as TOML has it, and where its leaves came from."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.tree: dict[str, dict[str, Any]] = {section: {} for section in (*SECTIONS, *TABLES)}
        self.origins: dict[Name, str] = {}

    def add_file(self, file: Path) -> None:
        for section, table in _read_toml(file).items():
            if section not in self.tree:
                raise SettingsInvalid(f"{file.name}: no section {_unknown(section, self.tree)}", param=section)
            if not isinstance(table, dict):
                raise _wrong(section, "a table", table)
            if section in TABLES:
                for name, entry in table.items():
                    if not isinstance(entry, dict):
                        raise _wrong(_dotted((section, name)), f"a table ([{section}.NAME])", entry)
            self.tree[section] = table

    def add_environment(self) -> None:
        """`TRUNKLINE_SECTION__NAME`. Names without a double underscore are other people's (Kubernetes makes some)."""
        for variable in sorted(self.environment):
            if variable.startswith(PREFIX) and "__" in variable:
                self._add_variable(variable, self.environment[variable])

    def _add_variable(self, variable: str, text: str) -> None:
        section, *rest = variable.removeprefix(PREFIX).lower().split("__")
        if section not in self.tree:
            raise SettingsInvalid(f"{variable}: no section {_unknown(section, self.tree)}", param=variable)
        name: Name = (section,)
        options = SECTIONS.get(section)
        if options is None and rest:
            name = (section, self._table_called(section, rest.pop(0)))
            options = TABLES[section]
        while rest and options is not None:
            part = rest.pop(0)
            fields = _fields(options)
            if part not in fields:
                raise SettingsInvalid(f"{variable}: no setting {_unknown(part, fields)}", param=variable)
            name = (*name, part)
            shape = shape_of(fields[part].type)
            if not rest:
                self._set(name, _from_text(text, shape), variable)
                return
            options = shape.cls if isinstance(shape, inspect.StructType) else None
        raise SettingsInvalid(f"{variable} names no setting; write {PREFIX}<SECTION>__<NAME>", param=variable)

    def _table_called(self, section: str, part: str) -> str:
        """Variables cannot spell `office-vllm`: the table that looks like it is meant, else a new one."""
        for name in self.tree[section]:
            if re.sub(r"[^a-z0-9]", "_", name.lower()) == part:
                return name
        return part

    def add_overrides(self, overrides: Mapping[str, object]) -> None:
        for name, value in overrides.items():
            self._set(tuple(name.split(".")), value, "the command line")

    def _set(self, name: Name, value: object, origin: str) -> None:
        table: dict[str, Any] = self.tree
        for depth, part in enumerate(name[:-1], start=1):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise _wrong(_dotted(name[:depth]), "a table", table)
        table[name[-1]] = value
        self.origins[name] = origin

    def build(self) -> dict[str, Any]:
        """Section name -> options struct; for the tables, name -> options struct."""
        built: dict[str, Any] = {
            section: self._struct(options, self.tree[section], (section,)) for section, options in SECTIONS.items()
        }
        for section, options in TABLES.items():
            built[section] = {
                name: self._struct(options, entry, (section, name)) for name, entry in self.tree[section].items()
            }
        return built

    def _struct(self, options: type[Options], table: dict[str, Any], at: Name) -> Options:
        fields = _fields(options)
        for name in table:
            if name not in fields:
                whole = _dotted((*at, name))
                raise SettingsInvalid(f"{whole}: no setting {_unknown(name, fields)} in [{_dotted(at)}]", param=whole)
        values = {}
        for name, field in fields.items():
            if name in table:
                values[name] = self._value(field.type, table[name], (*at, name))
            elif field.required:
                whole = _dotted((*at, name))
                raise SettingsInvalid(f"{whole} is missing: {_wanted(shape_of(field.type))}", param=whole)
        try:
            return options(**values)
        except ValueError as error:
            raise SettingsInvalid(f"{_dotted(at)}: {error}", param=_dotted(at)) from None

    def _value(self, kind: Any, value: object, at: Name) -> object:
        shape = shape_of(kind)
        if isinstance(shape, inspect.StructType) and isinstance(value, dict):
            return self._struct(shape.cls, value, at)
        if isinstance(value, str) and at[-1] in SECRETS:
            value = _one_word(self._secret(value, _dotted(at)), _dotted(at))
        elif isinstance(value, str) and at[-1] in SECRET_DOCUMENTS:
            value = self._secret(value, _dotted(at))
        elif isinstance(value, str) and at[-1] in FILES:
            value = self._file(value, _dotted(at))
        try:
            converted: object = msgspec.convert(value, kind)
        except msgspec.ValidationError:
            raise _wrong(self._label(at), _wanted(shape), value) from None
        if isinstance(converted, float) and not math.isfinite(converted):
            raise _wrong(self._label(at), _wanted(shape), value)
        return converted

    def _label(self, at: Name) -> str:
        origin = self.origins.get(at)
        return f"{_dotted(at)} ({origin})" if origin else _dotted(at)

    def _secret(self, reference: str, setting: str) -> str:
        """The value behind `env:NAME` or `file:PATH`; anything else is the secret itself."""
        scheme, _, place = reference.partition(":")
        if scheme == "env":
            secret = self.environment.get(place, "")
            if not secret:
                raise SettingsInvalid(f"{setting}: the environment variable {place} is not set", param=setting)
        elif scheme == "file":
            try:
                secret = (self.folder / place).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsInvalid(f"{setting}: {place} cannot be read: {_reason(error)}", param=setting) from None
            if not secret:
                raise SettingsInvalid(f"{setting}: the file {place} is empty", param=setting)
        else:
            secret = reference
        return secret

    def _file(self, place: str, setting: str) -> str:
        """A path beside the settings file, made whole."""
        whole = self.folder / place
        try:
            whole.open("rb").close()
        except OSError as error:
            raise SettingsInvalid(f"{setting}: {place} cannot be read: {_reason(error)}", param=setting) from None
        return str(whole)


def _one_word(secret: str, setting: str) -> str:
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise SettingsInvalid(
            f"{setting}: a secret is printable ASCII without spaces; this one has other characters", param=setting
        )
    return secret


def _find(path: Path | None) -> Path | None:
    if path is None:
        path = Path(DEFAULT_FILE)
        if not path.exists():
            return None
    return path.absolute()


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise SettingsInvalid(f"{file} cannot be read: {_reason(error)}") from None
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"{file} is not UTF-8 at byte {error.start}") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error).replace("at end of document", f"at line {text.count(chr(10)) + 1}, the end of the file")
        raise SettingsInvalid(f"{file} is not TOML: {said}") from None
    except RecursionError:
        raise SettingsInvalid(f"{file} is nested too deeply") from None


def _make_data_dir(data_dir: Path) -> Path:
    whole = data_dir.absolute()
    try:
        whole.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsInvalid(
            f"the data directory {whole} cannot be made: {_reason(error)}; choose another with --data-dir"
        ) from None
    return whole


def _proxy(environment: Mapping[str, str]) -> ProxySettings | None:
    """HTTPS_PROXY and NO_PROXY, in either case."""

    def variable(name: str) -> str:
        return environment.get(name) or environment.get(name.lower()) or ""

    url = variable("HTTPS_PROXY")
    if not url:
        return None
    return ProxySettings(url=url if "://" in url else f"http://{url}", no_proxy=variable("NO_PROXY"))


def _fields(options: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(options)}


def shape_of(kind: Any) -> inspect.Type:
    """The type behind its metadata and its `| None`."""
    shape = inspect.type_info(kind)
    while True:
        if isinstance(shape, inspect.Metadata):
            shape = shape.type
        elif isinstance(shape, inspect.UnionType):
            shape = next(part for part in shape.types if not isinstance(part, inspect.NoneType))
        else:
            return shape


def _from_text(text: str, shape: inspect.Type) -> object:
    """A variable's text as TOML would have it. Text that makes no sense stays text, and is refused as such later."""
    try:
        match shape:
            case inspect.StrType() | inspect.LiteralType():
                return text or None
            case inspect.BoolType():
                return {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False,
                        "off": False}.get(text.lower(), text)  # fmt: skip
            case inspect.IntType():
                return int(text)
            case inspect.FloatType():
                return float(text)
            case inspect.VarTupleType() if not text.startswith("["):
                return [part.strip() for part in text.split(",") if part.strip()]
            case _:
                return msgspec.json.decode(text)
    except ValueError:
        return text


def _wanted(shape: inspect.Type) -> str:
    """What a type asks for, in words."""
    match shape:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            number = "a whole number" if isinstance(shape, inspect.IntType) else "a number"
            bounds = {"of at least": shape.ge, "above": shape.gt, "of at most": shape.le, "below": shape.lt}
            return " ".join(
                [number, " and ".join(f"{word} {n}" for word, n in bounds.items() if n is not None)]
            ).strip()
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in shape.values)
        case inspect.StrType():
            return f"text that matches {shape.pattern}" if shape.pattern else "text"
        case inspect.VarTupleType():
            return "a list of text" + (f", at least {shape.min_length}" if shape.min_length else "")
        case _:
            return "a table"


def _wrong(setting: str, wanted: str, value: object) -> SettingsInvalid:
    """Numbers are shown; text never is, for it could be a secret in the wrong place."""
    if isinstance(value, int | float):
        got = str(value).lower()
    else:
        words = {str: "text", list: "a list", dict: "a table", type(None): "nothing"}
        got = words.get(type(value), "a date or time")
    return SettingsInvalid(f"{setting}: wanted {wanted}, got {got}", param=setting.partition(" ")[0])


def _unknown(name: str, known: Iterable[str]) -> str:
    """The name, and the nearest one that exists."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"`{name}`; the nearest is `{near[0]}`" if near else f"`{name}`; there are {', '.join(sorted(known))}"


def _dotted(name: Name) -> str:
    """A setting's name as TOML spells it."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' for part in name)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "it failed").lower() if isinstance(error, OSError) else "it is not UTF-8"
