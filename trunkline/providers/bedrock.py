"""Amazon Bedrock: its address in a region, and who signs the calls.

The first credential that is there counts: those of the settings (an API key, else access keys, a role, metadata), then
those of the environment (AWS_BEARER_TOKEN_BEDROCK, access keys, a web identity). A metadata server is asked only when
use_metadata says so.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from trunkline import clock
from trunkline.errors import Defect
from trunkline.observe import Secret
from trunkline.providers import sigv4
from trunkline.providers.aws_credentials import AssumedRole, Container, GivenKeys, Instance, Source, Sts, WebIdentity
from trunkline.providers.base_url import is_loopback, split_base_url, split_token_url
from trunkline.providers.provider_options import Place, Placed
from trunkline.providers.signing import Keeper, check_origin, with_headers
from trunkline.providers.sigv4 import Keys, Scope
from trunkline.providers.transport import Origin, Transport, UpstreamRequest

REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
VARIABLES: Final = (
    *REGIONS,
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
)
CONTAINER_AGENT: Final = "http://169.254.170.2"
INSTANCE_METADATA: Final = "http://169.254.169.254"
# Beside loopback and https, those that AWS's own libraries trust: the agents of ECS and of EKS.
_AGENTS: Final = frozenset(("169.254.170.2", "169.254.170.23", "fd00:ec2::23"))
_REGION: Final = re.compile(r"[a-z]{2}[a-z0-9-]{1,30}[0-9]")
_HOST: Final = re.compile(r"(?:.*\.)?bedrock-(?:runtime|runtime-fips|mantle)\.([a-z0-9-]+)\..*")
_OPENAI_PATH: Final = "/openai/v1"


class AwsIdentity(msgspec.Struct, frozen=True):
    origin: Origin
    scope: Scope
    source: Source

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self.source.secrets

    def signer(self, transport: Transport) -> AwsSigner:
        return AwsSigner(self, transport)


class AwsSigner:
    __slots__ = ("_identity", "_sessions")

    def __init__(self, identity: AwsIdentity, transport: Transport) -> None:
        self._identity = identity
        self._sessions = Keeper(lambda: identity.source.fetch(transport))

    async def sign(self, request: UpstreamRequest) -> UpstreamRequest:
        check_origin(request, self._identity.origin)
        if request.stream_body is not None:
            raise Defect("A body that is not held cannot be signed.")
        session = await self._sessions.get()
        return with_headers(request, sigv4.signed(request, session.keys, self._identity.scope, clock.now_s()))


def place(here: Place) -> Placed:
    """Raises SettingsInvalid."""
    given = here.given
    key = _api_key(here)
    region = _region(here)
    if region is None and (given.base_url is None or key is None):
        raise here.missing("region", REGIONS[0])
    base_url = given.base_url or f"https://bedrock-runtime.{region}.{domain(region or '')}"
    base_url = base_url.rstrip("/").removesuffix(_OPENAI_PATH)
    if key is not None or region is None:
        return Placed(base_url=base_url, key=key)
    source = _source(here, region)
    if source is None:
        if given.base_url is not None:
            return Placed(base_url=base_url)
        raise here.missing("api_key", "AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    origin, _ = split_base_url(base_url, f"{here.setting}.base_url")
    # The SDKs sign for the service that the host names: openai/providers/bedrock.py in openai-python.
    service = "bedrock-mantle" if origin.host.startswith("bedrock-mantle.") else "bedrock"
    return Placed(base_url=base_url, identity=AwsIdentity(origin, Scope(region, service), source))


def _region(here: Place) -> str | None:
    named = _region_of(here.given.base_url) if here.given.base_url is not None else None
    region = here.given.region or named or here.first(None, *REGIONS)
    if region is not None and not _REGION.fullmatch(region):
        raise here.refused("region", "a region looks like us-east-1")
    return region


def domain(region: str) -> str:
    """Partitions: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html"""
    if region.startswith("cn-"):
        return "amazonaws.com.cn"
    return "amazonaws.eu" if region.startswith("eusc-") else "amazonaws.com"


def _region_of(base_url: str) -> str | None:
    try:
        found = _HOST.fullmatch(urlsplit(base_url).hostname or "")
    except ValueError:
        return None  # told when the URL is split
    return found[1] if found is not None else None


def _api_key(here: Place) -> str | None:
    given = here.given
    others = ("access_key_id", "secret_access_key", "session_token", "role_arn", "web_identity_token_file")
    named = [name for name in others if getattr(given, name) is not None]
    named += ["use_metadata"] if given.use_metadata else []
    if given.api_key is not None and named:
        raise here.refused("api_key", f"it is one credential and {named[0]} is another; give one of them")
    return here.usual_key if given.api_key is None and not named else given.api_key


def _source(here: Place, region: str) -> Source | None:
    given = here.given
    if given.use_metadata and (given.access_key_id is not None or given.web_identity_token_file is not None):
        raise here.refused("use_metadata", "the settings hold another credential; give one of them")
    web = given.web_identity_token_file is not None
    by = _metadata(here) if given.use_metadata else None if web else _keys(here)
    if given.role_arn is not None and by is not None:
        return AssumedRole(_sts(here, region), given.role_arn, by)
    if by is not None:
        return by
    role_arn = here.first(given.role_arn, "AWS_ROLE_ARN")
    token_file = here.first(given.web_identity_token_file, "AWS_WEB_IDENTITY_TOKEN_FILE")
    if role_arn is not None and token_file is not None:
        return WebIdentity(_sts(here, region), role_arn, token_file)
    if web or given.role_arn is not None:
        field = "role_arn" if web else "access_key_id"
        raise here.missing(field, "AWS_ROLE_ARN" if web else "AWS_ACCESS_KEY_ID")
    return None


def _keys(here: Place) -> GivenKeys | None:
    """Both halves from one place: an id of the settings never goes with a secret of the environment."""
    given = here.given
    access, secret, token = given.access_key_id, given.secret_access_key, given.session_token
    if access is None and secret is None:
        access, secret = here.first(None, "AWS_ACCESS_KEY_ID"), here.first(None, "AWS_SECRET_ACCESS_KEY")
        token = here.first(token, "AWS_SESSION_TOKEN")
    elif access is None or secret is None:
        missing = "access_key_id" if access is None else "secret_access_key"
        raise here.refused(missing, "access_key_id and secret_access_key are set together")
    if access is None or secret is None:
        return None
    return GivenKeys(Keys(access, Secret(secret), Secret(token) if token is not None else None))


def _sts(here: Place, region: str) -> Sts:
    url = here.given.token_url or f"https://sts.{region}.{domain(region)}"
    origin, _ = split_token_url(url, f"{here.setting}.token_url")
    return Sts(here.provider_id, origin, region, here.given.use_proxy and not is_loopback(origin))


def _metadata(here: Place) -> Source:
    relative = here.first(None, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    full = here.first(None, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
    setting = f"{here.setting}.use_metadata"
    if relative is None and full is None:
        url = here.first(here.given.token_url, "AWS_EC2_METADATA_SERVICE_ENDPOINT") or INSTANCE_METADATA
        return Instance(here.provider_id, split_base_url(url, setting)[0])
    origin, target = split_base_url(CONTAINER_AGENT + relative if relative is not None else full or "", setting)
    if origin.scheme == "http" and origin.host not in _AGENTS and not is_loopback(origin):
        raise here.refused("use_metadata", "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor a known agent")
    token = here.first(None, "AWS_CONTAINER_AUTHORIZATION_TOKEN")
    return Container(
        here.provider_id,
        origin,
        target or b"/",
        Secret(token) if token is not None else None,
        here.first(None, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    )
