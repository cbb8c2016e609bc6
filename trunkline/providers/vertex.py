"""Google Vertex AI: its address for a project and a location, and the tokens that its calls carry.

A service account signs an assertion and gets a token for it, a user's credential has a refresh token, a machine of
Google's has a metadata server: https://docs.cloud.google.com/docs/authentication/application-default-credentials
"""

from __future__ import annotations

import base64
import re
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from trunkline import clock
from trunkline.observe import Secret
from trunkline.providers.base_url import is_loopback, split_base_url, split_token_url
from trunkline.providers.provider_options import Place, Placed
from trunkline.providers.signing import BearerSigner, Identity, Token, fetch, read_token, token_request
from trunkline.providers.transport import Headers, Origin, Transport
from trunkline.wire import codec

PROJECTS: Final = ("GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID")
LOCATIONS: Final = ("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION")
CREDENTIALS_FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
VARIABLES: Final = (*PROJECTS, *LOCATIONS, CREDENTIALS_FILE, "GCE_METADATA_HOST")
"""Under CREDENTIALS_FILE the text of the file is handed over, not its path."""

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
METADATA_HOST: Final = "metadata.google.internal"
METADATA_TARGET: Final = b"/computeMetadata/v1/instance/service-accounts/default/token"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# An assertion from the future is refused, so it is dated back by more than clocks that are kept differ.
ASSERTION_S: Final = 3600
BACKDATED_S: Final = 60
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.:-]{0,62}")


class ServiceAccount(msgspec.Struct, frozen=True, tag="service_account"):
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = TOKEN_URL
    project_id: str | None = None

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email!r})"


class AuthorizedUser(msgspec.Struct, frozen=True, tag="authorized_user"):
    client_id: str
    client_secret: str
    refresh_token: str
    token_uri: str = TOKEN_URL
    quota_project_id: str | None = None

    def __repr__(self) -> str:
        return "AuthorizedUser()"


class GoogleIdentity(msgspec.Struct, frozen=True):
    """`asks` is where the token comes from and `who` what is shown there; None: the machine's metadata server."""

    provider_id: str
    origin: Origin
    asks: Origin
    target: bytes
    who: ServiceAccount | AuthorizedUser | None
    proxy: bool

    @property
    def secrets(self) -> tuple[Secret, ...]:
        match self.who:
            case ServiceAccount(private_key=key):
                return (Secret(key),)
            case AuthorizedUser(client_secret=secret, refresh_token=token):
                return (Secret(secret), Secret(token))
            case _:
                return ()

    def signer(self, transport: Transport) -> BearerSigner:
        key = _rsa_key(self.who.private_key) if isinstance(self.who, ServiceAccount) else None

        async def fetch_token() -> Token:
            headers: Headers = [(b"metadata-flavor", b"Google")] if self.who is None else []
            request = token_request(self.asks, self.target, headers, self._form(key), proxy=self.proxy)
            return read_token(await fetch(transport, request, self.provider_id), self.provider_id, self.asks)

        quota = self.who.quota_project_id if isinstance(self.who, AuthorizedUser) else None
        return BearerSigner(
            self.origin, fetch_token, [(b"x-goog-user-project", quota.encode("ascii"))] if quota else None
        )

    def _form(self, key: RSAPrivateKey | None) -> dict[str, str] | None:
        match self.who:
            case ServiceAccount() if key is not None:
                return {"grant_type": JWT_BEARER, "assertion": assertion(self.who, key, clock.now_s())}
            case AuthorizedUser():
                return {
                    "grant_type": "refresh_token",
                    "client_id": self.who.client_id,
                    "client_secret": self.who.client_secret,
                    "refresh_token": self.who.refresh_token,
                }
            case _:
                return None


def assertion(account: ServiceAccount, key: RSAPrivateKey, now_s: float) -> str:
    """A signed JWT: https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests"""
    header = {"alg": "RS256", "typ": "JWT", **({"kid": account.private_key_id} if account.private_key_id else {})}
    issued_at = int(now_s) - BACKDATED_S
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": issued_at,
        "exp": issued_at + ASSERTION_S,
    }
    signed = _base64url(codec.encode(header)) + b"." + _base64url(codec.encode(claims))
    return (signed + b"." + _base64url(key.sign(signed, PKCS1v15(), SHA256()))).decode("ascii")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _rsa_key(pem: str) -> RSAPrivateKey:
    """Raises ValueError."""
    try:
        key = load_pem_private_key(pem.encode("ascii"), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError  # noqa: TRY004 - as any other text that is no such key
    return key


def place(here: Place) -> Placed:
    """A key of the settings, else a credential of the settings, else one of the environment. Raises SettingsInvalid."""
    given = here.given
    named = given.use_metadata or given.google_credentials is not None
    if given.use_metadata and given.google_credentials is not None:
        raise here.refused("use_metadata", "google_credentials is another credential; give one of them")
    if given.api_key is not None and named:
        raise here.refused("api_key", "the settings hold another credential; give one of them")
    if given.api_key is not None:
        return Placed(base_url=_base_url(here, given.project, with_key=True), key=given.api_key)
    text = None if given.use_metadata else here.first(given.google_credentials, CREDENTIALS_FILE)
    who = _read_credentials(here, text) if text is not None else None
    if who is None and not named and here.usual_key is not None:
        return Placed(base_url=_base_url(here, given.project, with_key=True), key=here.usual_key)
    project = here.first(given.project, *PROJECTS)
    if project is None and isinstance(who, ServiceAccount):
        project = who.project_id
    base_url = _base_url(here, project, with_key=False)
    if who is None and not given.use_metadata:
        if given.base_url is not None:
            return Placed(base_url=base_url)
        raise here.missing("google_credentials", f"{CREDENTIALS_FILE} (the path of a file that can be read)")
    return Placed(base_url=base_url, identity=_identity(here, base_url, who))


def _base_url(here: Place, project: str | None, *, with_key: bool) -> str:
    """A key without a project is one of express mode:
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview"""
    if here.given.base_url is not None:
        return here.given.base_url.rstrip("/")
    if project is None and with_key:
        return "https://aiplatform.googleapis.com/v1"
    if project is None:
        raise here.missing("project", PROJECTS[0])
    location = here.first(here.given.location, *LOCATIONS) or "global"
    for field, name in (("project", project), ("location", location)):
        if not _NAME.fullmatch(name):
            raise here.refused(field, "it has lower-case letters, digits, `-`, `.` and `:`")
    return f"https://{host(location)}/v1/projects/{project}/locations/{location}"


def host(location: str) -> str:
    """https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations, and for the two multi-regions
    https://github.com/anthropics/anthropic-sdk-python/blob/main/src/anthropic/lib/vertex/_client.py"""
    if location == "global":
        return "aiplatform.googleapis.com"
    return (
        f"aiplatform.{location}.rep.googleapis.com"
        if location in ("us", "eu")
        else (f"{location}-aiplatform.googleapis.com")
    )


class _Kind(msgspec.Struct):
    type: str = ""


def _read_credentials(here: Place, text: str) -> ServiceAccount | AuthorizedUser:
    try:
        who = msgspec.json.decode(text, type=ServiceAccount | AuthorizedUser)
    except codec.UNREADABLE:
        try:
            kind = msgspec.json.decode(text, type=_Kind).type
        except codec.UNREADABLE:
            raise here.refused("google_credentials", "it is not the JSON of a Google credential") from None
        if kind in ("service_account", "authorized_user"):
            raise here.refused("google_credentials", f"a field of this {kind} is missing or wrong") from None
        raise here.refused(
            "google_credentials", "its type must be service_account or authorized_user; no other is supported"
        ) from None
    if isinstance(who, ServiceAccount):
        try:
            _rsa_key(who.private_key)
        except ValueError:
            raise here.refused("google_credentials", "its private_key is no RSA key in PEM form") from None
    return who


def _identity(here: Place, base_url: str, who: ServiceAccount | AuthorizedUser | None) -> Identity:
    setting = f"{here.setting}.token_url"
    origin, _ = split_base_url(base_url, f"{here.setting}.base_url")
    if who is None:
        named = here.first(None, "GCE_METADATA_HOST") or METADATA_HOST
        asks, path = split_base_url(here.given.token_url or f"http://{named}", setting)
        return GoogleIdentity(here.provider_id, origin, asks, path + METADATA_TARGET, None, proxy=False)
    asks, target = split_token_url(here.given.token_url or who.token_uri, setting)
    proxy = here.given.use_proxy and not is_loopback(asks)
    return GoogleIdentity(here.provider_id, origin, asks, target or b"/", who, proxy=proxy)
