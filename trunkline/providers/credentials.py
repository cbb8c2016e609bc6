"""Where each configured provider is, and the headers that carry its credential there and nowhere else."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from trunkline.catalog.engines import SANDBOXES
from trunkline.catalog.provider_row import CredentialKind, Provider
from trunkline.catalog.providers import PROVIDERS, find
from trunkline.errors import SettingsInvalid
from trunkline.observe import Secret
from trunkline.providers import azure, bedrock, vertex
from trunkline.providers.base_url import is_loopback, split_base_url
from trunkline.providers.provider_options import Place, Placed
from trunkline.providers.provider_options import ProviderOptions as ProviderOptions
from trunkline.providers.signing import Identity, Signer
from trunkline.providers.transport import Origin, Transport

SANDBOX_ORIGIN = Origin(scheme="sandbox", host="sandbox", port=0)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

PLACES: Final[Mapping[str, Callable[[Place], Placed]]] = {
    "aws": bedrock.place,
    "google": vertex.place,
    "azure": azure.place,
}
"""The kinds of credentials that want more than a header, and what makes an address and an identity of the settings."""
VARIABLES: Final = (*bedrock.VARIABLES, *vertex.VARIABLES, *azure.VARIABLES)
"""The names in the environment that they read beside the usual keys."""
_OWN_SETTINGS: Final[Mapping[str, frozenset[str]]] = {
    "aws": frozenset(
        ("region", "access_key_id", "secret_access_key", "session_token", "role_arn", "web_identity_token_file")
    )
    | {"use_metadata", "token_url"},
    "google": frozenset(("project", "location", "google_credentials", "use_metadata", "token_url")),
    "azure": frozenset(("api_version", "tenant_id", "client_id", "client_secret", "use_metadata", "token_url")),
}
_HEADERS: Final[Mapping[str, bytes]] = {"google": b"x-goog-api-key", "azure": b"api-key"}


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that can be called. `headers` hold its credential and belong to `origin` alone.

    `row` is the registry's with the base URL that is used. `path_prefix` comes before each protocol's own path.
    `signer` is there when no fixed header will do; it signs what goes to `origin`. `api_version` is Azure's.
    """

    provider_id: str
    row: Provider
    origin: Origin
    path_prefix: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    use_proxy: bool
    secret: Secret | None = None
    identity: Identity | None = None
    signer: Signer | None = None
    api_version: str | None = None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Everything that must never be printed."""
        own = (self.secret,) if self.secret is not None else ()
        return own if self.identity is None else (*own, *self.identity.secrets)

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
        if key is None or row.id in upstreams:
            continue
        if row.credential in PLACES:
            try:
                upstreams[row.id] = _from_settings(row.id, ProviderOptions(), environment)
            except SettingsInvalid:
                continue  # a key without a region or an endpoint says nothing yet
        elif row.base_url is not None:
            upstreams[row.id] = _upstream(row.id, row, Placed(base_url=row.base_url, key=key), use_proxy=True)
    return upstreams


def with_signers(upstreams: Mapping[str, Upstream], transport: Transport) -> dict[str, Upstream]:
    """The same, ready to sign. Tokens are fetched through `transport` when the first call needs one."""
    return {
        name: upstream
        if upstream.identity is None
        else msgspec.structs.replace(upstream, signer=upstream.identity.signer(transport))
        for name, upstream in upstreams.items()
    }


def sandbox(row: Provider) -> Upstream:
    return Upstream(
        provider_id=row.id,
        row=row,
        origin=SANDBOX_ORIGIN,
        path_prefix=b"",
        headers=(),
        use_proxy=False,
    )


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
    provider_id = row.id if own else name
    _check_id(provider_id, row, setting)
    _check_own_settings(row, given, setting)
    place = PLACES.get(row.credential, functools.partial(_place, row))
    placed = place(Place(provider_id, setting, given, environment, _usual_key(row, environment)))
    return _upstream(provider_id, row, placed, use_proxy=given.use_proxy)


def _place(row: Provider, here: Place) -> Placed:
    """Where a provider is whose credential is a key or nothing."""
    given = here.given
    base_url = given.base_url if given.base_url is not None else row.base_url
    if base_url is None:
        raise SettingsInvalid(
            f"{here.setting}.base_url is missing; for {row.name} it looks like {row.base_url_looks_like}",
            param=f"{here.setting}.base_url",
        )
    key = given.api_key
    if key is None and (given.base_url is None or row.base_url is None):
        # A usual key belongs to the usual URL: it is never sent to another that the settings name.
        key = here.usual_key
    if key is None and given.base_url is None and row.key_names:
        raise here.missing("api_key", row.key_names[0])
    base_url = base_url.rstrip("/")
    # A base URL may be written as another client of one of its protocols wants it.
    for face in row.speaks:
        base_url = base_url.removesuffix(face.prefix)
    return Placed(base_url=base_url, key=key)


def _check_own_settings(row: Provider, given: ProviderOptions, setting: str) -> None:
    """What only another cloud reads is a mistake, not a wish."""
    own = _OWN_SETTINGS.get(row.credential, frozenset())
    for field in sorted(frozenset().union(*_OWN_SETTINGS.values()) - own):
        if getattr(given, field) not in (None, False):
            raise SettingsInvalid(f"{setting}.{field}: {row.name} has no use for it", param=f"{setting}.{field}")


def _check_id(provider_id: str, row: Provider, setting: str) -> None:
    """A name of our own for a provider must not be another provider's: its models would change hands."""
    other = find(provider_id)
    if other is not None and other.id != row.id:
        raise SettingsInvalid(f"{setting}: {provider_id} means {other.name}; give it another name", param=setting)


def _unknown_kind(name: str, given: ProviderOptions) -> str:
    if given.kind is not None:
        return f"no provider is called kind = {given.kind!r}; `openai-compatible` serves any server with OpenAI's API"
    return f"{name} is no known provider; say which it behaves like, such as kind = 'openai-compatible'"


def _upstream(provider_id: str, row: Provider, placed: Placed, *, use_proxy: bool) -> Upstream:
    setting = f"providers.{provider_id}"
    base_url, key = placed.base_url.rstrip("/"), placed.key
    origin, path_prefix = split_base_url(base_url, f"{setting}.base_url")
    if key is not None and (not key.isascii() or not key.isprintable() or " " in key or not key):
        raise SettingsInvalid(f"{setting}.api_key: a key is printable ASCII without spaces", param=f"{setting}.api_key")
    secret = Secret(key) if key is not None else None
    headers = tuple(credential_headers(row.credential, secret)) if secret is not None else ()
    return Upstream(
        provider_id=provider_id,
        row=msgspec.structs.replace(row, base_url=base_url),
        origin=origin,
        path_prefix=path_prefix,
        headers=headers,
        # A proxy has no business between us and an engine on this machine.
        use_proxy=use_proxy and not is_loopback(origin),
        secret=secret,
        identity=placed.identity,
        api_version=placed.api_version,
    )


def credential_headers(kind: CredentialKind, secret: Secret) -> Iterator[tuple[bytes, bytes]]:
    """An engine that wants no key gets the one it was given as a bearer token: it was started with one."""
    value = secret.reveal().encode("ascii")
    if kind in ("bearer", "aws", "none"):
        yield b"authorization", b"Bearer " + value
    else:
        yield _HEADERS.get(kind, kind.encode("ascii")), value


def _usual_key(row: Provider, environment: Mapping[str, str]) -> str | None:
    """The first of the row's usual environment names that is set. Spaces around a pasted key are not part of it."""
    for name in row.key_names:
        value = environment.get(name, "").strip()
        if value:
            return value
    return None
