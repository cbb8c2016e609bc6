"""Where AWS access keys come from: the settings, STS for a role, the metadata servers of containers and machines."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import re
from pathlib import Path
from typing import Final, Protocol

import msgspec

from trunkline import clock
from trunkline.errors import UpstreamAccount, UpstreamFailed
from trunkline.observe import Secret
from trunkline.providers import sigv4
from trunkline.providers.signing import TokenAnswer, fetch, not_a_token, token_request, with_headers
from trunkline.providers.sigv4 import Keys, Scope
from trunkline.providers.transport import Headers, Origin, Transport
from trunkline.wire import codec

ROLE_S: Final = 3600
"""What every role allows; chained ones allow no more."""
SESSION_NAME: Final = "trunkline"


class Session(msgspec.Struct, frozen=True):
    """Access keys and how long they hold from when they were given."""

    keys: Keys
    lifetime_s: float = math.inf


class Source(Protocol):
    @property
    def secrets(self) -> tuple[Secret, ...]: ...

    async def fetch(self, transport: Transport) -> Session:
        """Raises UpstreamAccount, UpstreamFailed and what the transport raises."""
        ...


class GivenKeys(msgspec.Struct, frozen=True):
    keys: Keys

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return tuple(filter(None, (self.keys.secret_access_key, self.keys.session_token)))

    async def fetch(self, transport: Transport) -> Session:
        return Session(self.keys)


class Sts(msgspec.Struct, frozen=True):
    """AWS's Security Token Service: https://docs.aws.amazon.com/STS/latest/APIReference/"""

    provider_id: str
    origin: Origin
    region: str
    proxy: bool


class AssumedRole(msgspec.Struct, frozen=True):
    """AssumeRole with the keys of another source."""

    sts: Sts
    role_arn: str
    by: Source

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self.by.secrets

    async def fetch(self, transport: Transport) -> Session:
        session = await self.by.fetch(transport)
        form = _role_form("AssumeRole", self.role_arn)
        request = token_request(self.sts.origin, b"/", [], form, proxy=self.sts.proxy)
        signed = sigv4.signed(request, session.keys, Scope(self.sts.region, "sts"), clock.now_s())
        answer = await fetch(transport, with_headers(request, signed), self.sts.provider_id)
        return read_sts(answer, self.sts)


class WebIdentity(msgspec.Struct, frozen=True):
    """AssumeRoleWithWebIdentity. The file is read each time: whoever writes it replaces the token before its end."""

    sts: Sts
    role_arn: str
    token_file: str

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return ()

    async def fetch(self, transport: Transport) -> Session:
        token = await _read(self.token_file, self.sts.provider_id)
        form = {**_role_form("AssumeRoleWithWebIdentity", self.role_arn), "WebIdentityToken": token}
        request = token_request(self.sts.origin, b"/", [], form, proxy=self.sts.proxy)
        return read_sts(await fetch(transport, request, self.sts.provider_id), self.sts)


class Container(msgspec.Struct, frozen=True):
    """The agent beside a container of ECS or EKS.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    """

    provider_id: str
    origin: Origin
    target: bytes
    token: Secret | None = None
    token_file: str | None = None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return () if self.token is None else (self.token,)

    async def fetch(self, transport: Transport) -> Session:
        token = self.token.reveal() if self.token is not None else ""
        if self.token_file is not None:
            token = await _read(self.token_file, self.provider_id)
        headers: Headers = [(b"authorization", token.encode("ascii"))] if token else []
        request = token_request(self.origin, self.target, headers)
        return read_metadata(await fetch(transport, request, self.provider_id), self.provider_id, self.origin)


class Instance(msgspec.Struct, frozen=True):
    """The machine's metadata server, by its second protocol alone (IMDSv2).

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
    """

    provider_id: str
    origin: Origin

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return ()

    async def fetch(self, transport: Transport) -> Session:
        opening = token_request(self.origin, b"/latest/api/token", [(b"x-aws-ec2-metadata-token-ttl-seconds", b"60")])
        opening.method = b"PUT"
        opened = await fetch(transport, opening, self.provider_id)
        headers = [(b"x-aws-ec2-metadata-token", _word(opened, self.provider_id, self.origin))]
        roles = b"/latest/meta-data/iam/security-credentials/"
        listed = await fetch(transport, token_request(self.origin, roles, headers), self.provider_id)
        role = _word(listed, self.provider_id, self.origin)
        answer = await fetch(transport, token_request(self.origin, roles + role, headers), self.provider_id)
        return read_metadata(answer, self.provider_id, self.origin)


def _role_form(action: str, role_arn: str) -> dict[str, str]:
    return {
        "Action": action,
        "Version": "2011-06-15",
        "RoleArn": role_arn,
        "RoleSessionName": SESSION_NAME,
        "DurationSeconds": str(ROLE_S),
    }


_WORD = re.compile(rb"[!-~]{1,4096}")


def _word(answer: TokenAnswer, provider_id: str, origin: Origin) -> bytes:
    """The first line, which goes into a header or a path."""
    first = answer.body.strip().partition(b"\n")[0].strip()
    if not _WORD.fullmatch(first):
        raise not_a_token(provider_id, origin)
    return first


async def _read(path: str, provider_id: str) -> str:
    try:
        text = (await asyncio.to_thread(Path(path).read_text, encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text or not text.isascii() or not text.isprintable():
        raise UpstreamAccount(
            f"The token file of the provider {provider_id} cannot be read. "
            "Your key is fine; whoever runs the gateway must look at that file."
        )
    return text


class _Metadata(msgspec.Struct, rename="pascal"):
    access_key_id: str
    secret_access_key: str
    token: str
    expiration: str


def read_metadata(answer: TokenAnswer, provider_id: str, origin: Origin) -> Session:
    """The JSON of both metadata servers. Raises UpstreamFailed."""
    try:
        found = msgspec.json.decode(answer.body, type=_Metadata)
    except codec.UNREADABLE:
        raise not_a_token(provider_id, origin) from None
    return _session(found, answer, not_a_token(provider_id, origin))


_XML = {
    name: re.compile(rb"<%b>\s*([^<\s]+)\s*</%b>" % (tag, tag))
    for name, tag in (
        ("access_key_id", b"AccessKeyId"),
        ("secret_access_key", b"SecretAccessKey"),
        ("token", b"SessionToken"),
        ("expiration", b"Expiration"),
    )
}


def read_sts(answer: TokenAnswer, sts: Sts) -> Session:
    """STS's XML, of which the four values are one of each. Raises UpstreamFailed."""
    matches = {name: pattern.search(answer.body) for name, pattern in _XML.items()}
    values = {name: match[1].decode("latin-1") for name, match in matches.items() if match is not None}
    if len(values) != len(_XML):
        raise not_a_token(sts.provider_id, sts.origin)
    return _session(_Metadata(**values), answer, not_a_token(sts.provider_id, sts.origin))


def _session(found: _Metadata, answer: TokenAnswer, error: UpstreamFailed) -> Session:
    """How long it holds is reckoned by the clock of whoever gave it, which may differ from ours."""
    texts = (found.access_key_id, found.secret_access_key, found.token)
    try:
        ends_at = dt.datetime.fromisoformat(found.expiration)
        ends_at_s = ends_at.replace(tzinfo=ends_at.tzinfo or dt.UTC).timestamp()
    except (ValueError, OverflowError):
        raise error from None
    if not all(text and text.isascii() and text.isprintable() and " " not in text for text in texts):
        raise error
    if ends_at_s <= answer.at_s:
        raise error
    keys = Keys(found.access_key_id, Secret(found.secret_access_key), Secret(found.token))
    return Session(keys, ends_at_s - answer.at_s)
