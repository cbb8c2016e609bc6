"""Azure OpenAI: its two styles of URL, and tokens of Microsoft Entra ID where there is no key.

https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

import msgspec

from trunkline.observe import Secret
from trunkline.providers.base_url import is_loopback, split_base_url, split_token_url
from trunkline.providers.provider_options import Place, Placed
from trunkline.providers.signing import BearerSigner, Identity, Token, fetch, read_token, token_request
from trunkline.providers.transport import Headers, Origin, Transport

ENDPOINT: Final = "AZURE_OPENAI_ENDPOINT"
API_VERSION: Final = "OPENAI_API_VERSION"
APPLICATION: Final = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
VARIABLES: Final = (ENDPOINT, API_VERSION, *APPLICATION, "AZURE_AUTHORITY_HOST")
INSTANCE_METADATA: Final = "http://169.254.169.254"
# Hosts of the sovereign clouds, their sign-in and the name that a token is asked for:
# https://learn.microsoft.com/python/api/azure-identity/azure.identity.azureauthorityhosts
_CLOUDS: Final = {
    ".azure.us": ("https://login.microsoftonline.us", "https://cognitiveservices.azure.us"),
    ".azure.cn": ("https://login.chinacloudapi.cn", "https://cognitiveservices.azure.cn"),
}
_PUBLIC: Final = ("https://login.microsoftonline.com", "https://cognitiveservices.azure.com")
_VERSION: Final = re.compile(r"[A-Za-z0-9.-]{1,32}")
_TENANT: Final = re.compile(r"[A-Za-z0-9.-]{1,255}")


class Application(msgspec.Struct, frozen=True):
    client_id: str
    client_secret: Secret


class EntraIdentity(msgspec.Struct, frozen=True):
    """`who` None: the managed identity of the machine this runs on, which `target` names."""

    provider_id: str
    origin: Origin
    asks: Origin
    target: bytes
    resource: str
    who: Application | None
    proxy: bool

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return () if self.who is None else (self.who.client_secret,)

    def signer(self, transport: Transport) -> BearerSigner:
        async def fetch_token() -> Token:
            headers: Headers = [(b"metadata", b"true")] if self.who is None else []
            request = token_request(self.asks, self.target, headers, self._form(), proxy=self.proxy)
            return read_token(await fetch(transport, request, self.provider_id), self.provider_id, self.asks)

        return BearerSigner(self.origin, fetch_token)

    def _form(self) -> dict[str, str] | None:
        """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow"""
        if self.who is None:
            return None
        return {
            "grant_type": "client_credentials",
            "client_id": self.who.client_id,
            "client_secret": self.who.client_secret.reveal(),
            "scope": f"{self.resource}/.default",
        }


def place(here: Place) -> Placed:
    """Raises SettingsInvalid."""
    given = here.given
    base_url = here.first(given.base_url, ENDPOINT)
    if base_url is None:
        raise here.missing("base_url", ENDPOINT, "https://RESOURCE.openai.azure.com/openai/v1")
    api_version = given.api_version
    if api_version is None and not base_url.rstrip("/").endswith("/v1"):
        api_version = here.first(None, API_VERSION)
    if api_version is not None and not _VERSION.fullmatch(api_version):
        raise here.refused("api_version", "an API version looks like 2024-10-21")
    if is_older(api_version) and base_url.rstrip("/").endswith("/v1"):
        raise here.refused("api_version", "a base_url that ends in /v1 takes no dated version; leave one of them out")
    base_url = styled(base_url, api_version)
    origin, _ = split_base_url(base_url, f"{here.setting}.base_url")
    identity = _identity(here, origin)
    if identity is not None and given.api_key is not None:
        raise here.refused("api_key", "the settings hold another credential; give one of them")
    key = here.usual_key if identity is None and given.api_key is None else given.api_key
    if identity is None and key is None:
        identity = _application(here, origin, *(here.first(None, name) for name in APPLICATION))
    return Placed(base_url=base_url, key=key, identity=identity, api_version=api_version)


def styled(base_url: str, api_version: str | None) -> str:
    """The resource's address -> what ends in `/openai/v1`, or in `/openai` for an API version of the older style.

    An address with another path is somebody's own gateway and is left as it is.
    """
    base_url = base_url.rstrip("/")
    if base_url.endswith("/v1"):
        return base_url
    path = base_url.partition("://")[2].partition("/")[2]
    if is_older(api_version):
        return f"{base_url.removesuffix('/openai')}/openai"
    return base_url if path and not path.endswith("openai") else f"{base_url.removesuffix('/openai')}/openai/v1"


def is_older(api_version: str | None) -> bool:
    """Whether it is a dated one, whose paths name the deployment."""
    return api_version is not None and api_version not in ("preview", "latest")


def _identity(here: Place, origin: Origin) -> Identity | None:
    """Of the settings alone."""
    given = here.given
    if given.use_metadata:
        if given.client_secret is not None:
            raise here.refused("use_metadata", "client_secret is another credential; give one of them")
        return _managed(here, origin)
    if given.tenant_id is None and given.client_id is None and given.client_secret is None:
        return None
    for field in ("tenant_id", "client_id", "client_secret"):
        if getattr(given, field) is None:
            raise here.refused(field, "tenant_id, client_id and client_secret are set together")
    return _application(here, origin, given.tenant_id, given.client_id, given.client_secret)


def _application(
    here: Place, origin: Origin, tenant: str | None, client_id: str | None, secret: str | None
) -> Identity | None:
    if tenant is None or client_id is None or secret is None:
        return None
    if not _TENANT.fullmatch(tenant):
        raise here.refused("tenant_id", "a tenant is an id or a domain")
    authority, resource = _cloud(origin)
    url = here.given.token_url or f"{here.first(None, 'AZURE_AUTHORITY_HOST') or authority}/{tenant}/oauth2/v2.0/token"
    asks, target = split_token_url(url, f"{here.setting}.token_url")
    proxy = here.given.use_proxy and not is_loopback(asks)
    who = Application(client_id, Secret(secret))
    return EntraIdentity(here.provider_id, origin, asks, target or b"/", resource, who, proxy)


def _managed(here: Place, origin: Origin) -> Identity:
    """https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token"""
    asks, path = split_base_url(here.given.token_url or INSTANCE_METADATA, f"{here.setting}.token_url")
    _, resource = _cloud(origin)
    query = {"api-version": "2018-02-01", "resource": resource}
    if here.given.client_id is not None:
        query["client_id"] = here.given.client_id
    target = path + b"/metadata/identity/oauth2/token?" + urlencode(query).encode("ascii")
    return EntraIdentity(here.provider_id, origin, asks, target, resource, None, proxy=False)


def _cloud(origin: Origin) -> tuple[str, str]:
    return next((cloud for ending, cloud in _CLOUDS.items() if origin.host.endswith(ending)), _PUBLIC)
