"""Where each configured provider is, and the headers that carry its credential there and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Meta

from trunkline.catalog.engines import SANDBOXES
from trunkline.catalog.provider_row import CredentialKind, Provider
from trunkline.catalog.providers import PROVIDERS, find
from trunkline.errors import SettingsInvalid
from trunkline.observe import Secret
from trunkline.providers.transport import Origin

DEFAULT_PORTS = {"http": 80, "https": 443}
SANDBOX_ORIGIN = Origin(scheme="sandbox", host="sandbox", port=0)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?\.?|[0-9a-f:.]{2,45}")
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")


class ProviderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME]`"""

    kind: Annotated[str | None, Meta(description="The registry row it behaves like; default: the row called NAME.")] = (
        None
    )
    base_url: Annotated[str | None, Meta(description="Where it is, up to and without `/chat/completions`.")] = None
    api_key: Annotated[str | None, Meta(description="`env:NAME`, `file:PATH` or the key itself.")] = None
    use_proxy: Annotated[bool, Meta(description="Go through HTTPS_PROXY when it is set (honours NO_PROXY).")] = True


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that can be called. `headers` hold its credential and belong to `origin` alone.

    `row` is the registry's with the base URL that is used. `path_prefix` comes before `/chat/completions`.
    """

    provider_id: str
    row: Provider
    origin: Origin
    path_prefix: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    use_proxy: bool
    secret: Secret | None = None

    def __repr__(self) -> str:
        return f"Upstream({self.provider_id!r}, {self.origin}, secret={self.secret})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("provider_id", self.provider_id), ("origin", self.origin), ("secret", self.secret)]


def configured(options: Mapping[str, ProviderOptions], environment: Mapping[str, str]) -> dict[str, Upstream]:
    """Every provider that can be called: the sandbox, those of the settings, those whose key the environment has.

    The order is that of the listing. Keys in `options` are the values themselves. Raises SettingsInvalid.
    """
    upstreams = {row.id: sandbox(row) for row in SANDBOXES}
    written: dict[str, str] = {}
    for name, given in options.items():
        upstream = _from_settings(name, given, environment)
        provider_id = upstream.provider_id
        if written.setdefault(provider_id.casefold(), name) != name:
            raise SettingsInvalid(
                f"providers.{name} and providers.{written[provider_id.casefold()]} are the same provider;"
                f" give one another name and kind = {provider_id!r}",
                param=f"providers.{name}",
            )
        upstreams[provider_id] = upstream
    for row in PROVIDERS.values():
        key = _usual_key(row, environment)
        if key is not None and row.base_url is not None and row.id not in upstreams:
            upstreams[row.id] = _upstream(row.id, row, key, use_proxy=True)
    return upstreams


def sandbox(row: Provider) -> Upstream:
    return Upstream(
        provider_id=row.id,
        row=row,
        origin=SANDBOX_ORIGIN,
        path_prefix=b"",
        headers=(),
        use_proxy=False,
    )


def split_base_url(base_url: str, setting: str) -> tuple[Origin, bytes]:
    """`https://host/v1` -> its origin and `/v1`. Raises SettingsInvalid, naming `setting`, never showing userinfo."""

    def refused(reason: str) -> SettingsInvalid:
        return SettingsInvalid(f"{setting}: {reason}; write it like https://llm.example.com/v1", param=setting)

    try:
        parts: SplitResult = urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise refused("it is no URL") from None
    # urlsplit quietly drops tabs and line ends.
    if not base_url.isascii() or not base_url.isprintable() or " " in base_url:
        raise refused("it holds a character that a URL cannot")
    if parts.scheme not in DEFAULT_PORTS:
        raise refused("it must begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise refused("a credential belongs in api_key, not in the URL")
    if parts.query or parts.fragment or "?" in base_url or "#" in base_url:
        raise refused("it has a query or a fragment, which calls could not keep")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise refused("it has no host")
    if port == 0:
        raise refused("its port is not between 1 and 65535")
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise refused("its path holds a character that a URL cannot")
    if path.endswith("/chat/completions"):
        raise refused("it ends before /chat/completions")
    return Origin(scheme=parts.scheme, host=host, port=port or DEFAULT_PORTS[parts.scheme]), path.encode()


def _from_settings(name: str, given: ProviderOptions, environment: Mapping[str, str]) -> Upstream:
    setting = f"providers.{name}"
    if not _NAME.fullmatch(name):
        raise SettingsInvalid(
            f"{setting}: a provider's name has letters, digits, `.`, `_` and `-`, at most 64", param=setting
        )
    row = find(given.kind if given.kind is not None else name)
    if row is None:
        raise SettingsInvalid(f"{setting}: {_unknown_kind(name, given)}", param=setting)
    own = given.kind is None
    if row in SANDBOXES:
        if own and given == ProviderOptions():
            return sandbox(row)
        raise SettingsInvalid(f"{setting}: the sandbox is inside the gateway and has no settings", param=setting)
    base_url = given.base_url if given.base_url is not None else row.base_url
    if base_url is None:
        raise SettingsInvalid(
            f"{setting}.base_url is missing; for {row.name} it looks like {row.base_url_looks_like}",
            param=f"{setting}.base_url",
        )
    key = given.api_key
    if key is None and (given.base_url is None or row.base_url is None):
        # A usual key belongs to the usual URL: it is never sent to another that the settings name.
        key = _usual_key(row, environment)
    if key is None and given.base_url is None and row.key_names:
        raise SettingsInvalid(
            f"{setting}.api_key is missing; set it, or {row.key_names[0]} in the environment",
            param=f"{setting}.api_key",
        )
    provider_id = row.id if own else name
    _check_id(provider_id, row, setting)
    return _upstream(
        provider_id, msgspec.structs.replace(row, base_url=base_url.rstrip("/")), key, use_proxy=given.use_proxy
    )


def _check_id(provider_id: str, row: Provider, setting: str) -> None:
    """A name of our own for a provider must not be another provider's: its models would change hands."""
    other = find(provider_id)
    if other is not None and other.id != row.id:
        raise SettingsInvalid(f"{setting}: {provider_id} means {other.name}; give it another name", param=setting)


def _unknown_kind(name: str, given: ProviderOptions) -> str:
    if given.kind is not None:
        return f"no provider is called kind = {given.kind!r}; `openai-compatible` serves any server with OpenAI's API"
    return f"{name} is no known provider; say which it behaves like, such as kind = 'openai-compatible'"


def _upstream(provider_id: str, row: Provider, key: str | None, *, use_proxy: bool) -> Upstream:
    setting = f"providers.{provider_id}"
    if row.base_url is None:
        raise SettingsInvalid(f"{setting}.base_url is missing", param=f"{setting}.base_url")
    origin, path_prefix = split_base_url(row.base_url, f"{setting}.base_url")
    if key is not None and (not key.isascii() or not key.isprintable() or " " in key or not key):
        raise SettingsInvalid(f"{setting}.api_key: a key is printable ASCII without spaces", param=f"{setting}.api_key")
    secret = Secret(key) if key is not None else None
    headers = tuple(credential_headers(row.credential, secret)) if secret is not None else ()
    return Upstream(
        provider_id=provider_id,
        row=row,
        origin=origin,
        path_prefix=path_prefix,
        headers=headers,
        # A proxy has no business between us and an engine on this machine.
        use_proxy=use_proxy and not _LOOPBACK.fullmatch(origin.host),
        secret=secret,
    )


def credential_headers(kind: CredentialKind, secret: Secret) -> Iterator[tuple[bytes, bytes]]:
    """An engine that wants no key gets the one it was given as a bearer token: it was started with one."""
    value = secret.reveal().encode("ascii")
    if kind in ("bearer", "none"):
        yield b"authorization", b"Bearer " + value
    else:
        yield kind.encode(), value


def _usual_key(row: Provider, environment: Mapping[str, str]) -> str | None:
    """The first of the row's usual environment names that is set. Spaces around a pasted key are not part of it."""
    for name in row.key_names:
        value = environment.get(name, "").strip()
        if value:
            return value
    return None
