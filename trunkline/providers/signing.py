"""Credentials that no fixed header can carry: requests that are signed, and tokens that are fetched and run out.

A signer belongs to one origin, as the credential behind it does. What it fetches it keeps until shortly before its end,
with one fetch at a time however many calls wait for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec

from trunkline import clock, errors
from trunkline.errors import Defect, TrunklineError, UpstreamFailed
from trunkline.observe import Secret, logger
from trunkline.providers import faults
from trunkline.providers.transport import Headers, Origin, Timers, Transport, UpstreamRequest
from trunkline.wire import codec
from trunkline.wire.provider_errors import ErrorFacts, read_error

EARLY_S: Final = 225.0
"""How long before its end a token is fetched anew. Google's and AWS's metadata servers hand out the next one four and
five minutes before: https://docs.cloud.google.com/compute/docs/access/authenticate-workloads and
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html"""
RETRY_S: Final = 10.0
"""Between two attempts to replace a token that still holds."""
TOKEN_TIMERS: Final = Timers(connect_s=5.0, first_byte_s=10.0, idle_s=10.0, total_s=15.0)
LONGEST_ANSWER: Final = 64 * 1024

log = logger("signing")


class Signer(Protocol):
    async def sign(self, request: UpstreamRequest) -> UpstreamRequest:
        """The request with its credential headers; may fetch a token first.

        Raises UpstreamAccount when our credential is wrong, and UpstreamFailed, UpstreamTimeout, Unavailable and such
        when no token could be had.
        """
        ...


class Identity(Protocol):
    """What the settings say about who we are at a provider that wants more than a header."""

    @property
    def secrets(self) -> tuple[Secret, ...]: ...

    def signer(self, transport: Transport) -> Signer:
        """`transport` is where tokens are fetched through."""
        ...


class Lasting(Protocol):
    @property
    def lifetime_s(self) -> float:
        """From the moment that it was fetched; math.inf: it never ends."""
        ...


Fetched = TypeVar("Fetched", bound=Lasting)


class Keeper(Generic[Fetched]):
    """Holds what `fetch` gives until it ends.

    In its last EARLY_S it is replaced while calls go on with it; after that calls wait for the next one, and get the
    error when there is none. A call that is cancelled leaves the fetch to the others.
    """

    __slots__ = ("_at_monotonic_s", "_at_s", "_fetch", "_kept", "_task", "_tried_at_s")

    def __init__(self, fetch: Callable[[], Awaitable[Fetched]]) -> None:
        self._fetch = fetch
        self._kept: Fetched | None = None
        self._task: asyncio.Task[Fetched] | None = None
        self._at_s = self._at_monotonic_s = 0.0
        self._tried_at_s = 0.0

    async def get(self) -> Fetched:
        kept = self._kept
        if kept is not None:
            left_s = kept.lifetime_s - self._age_s()
            if left_s > min(EARLY_S, kept.lifetime_s / 4):
                return kept
            if left_s > 0:
                if clock.monotonic_s() - self._tried_at_s >= RETRY_S:
                    self._begin()
                return kept
        return await asyncio.shield(self._begin())

    def _age_s(self) -> float:
        """By the clock that says more: one stands still while the machine sleeps, the other can be set back."""
        return max(clock.now_s() - self._at_s, clock.monotonic_s() - self._at_monotonic_s)

    def _begin(self) -> asyncio.Task[Fetched]:
        """The fetch under way, or a new one."""
        if self._task is None:
            self._tried_at_s = clock.monotonic_s()
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._ended)
        return self._task

    async def _run(self) -> Fetched:
        # Its life began before it reached us.
        at_s, at_monotonic_s = clock.now_s(), clock.monotonic_s()
        fetched = await self._fetch()
        self._kept, self._at_s, self._at_monotonic_s = fetched, at_s, at_monotonic_s
        return fetched

    def _ended(self, task: asyncio.Task[Fetched]) -> None:
        self._task = None
        if not task.cancelled() and isinstance(error := task.exception(), TrunklineError):
            log.warning("token_not_fetched", reason=error.message)


class Token(msgspec.Struct, frozen=True):
    value: Secret
    lifetime_s: float


class BearerSigner:
    """Sends a fetched token as `Authorization: Bearer`."""

    __slots__ = ("_keeper", "_more", "_origin")

    def __init__(self, origin: Origin, fetch: Callable[[], Awaitable[Token]], more: Headers | None = None) -> None:
        """`more` are headers that go with the token."""
        self._origin = origin
        self._keeper = Keeper(fetch)
        self._more = more or []

    async def sign(self, request: UpstreamRequest) -> UpstreamRequest:
        check_origin(request, self._origin)
        token = await self._keeper.get()
        bearer = b"Bearer " + token.value.reveal().encode("ascii")
        return with_headers(request, [(b"authorization", bearer), *self._more])


def check_origin(request: UpstreamRequest, origin: Origin) -> None:
    """Raises Defect for a request that would carry the credential elsewhere."""
    if request.origin != origin:
        raise Defect("A request was about to be signed for another origin than its credential's.")


def with_headers(request: UpstreamRequest, headers: Headers) -> UpstreamRequest:
    return msgspec.structs.replace(request, headers=[*request.headers, *headers])


class TokenAnswer(msgspec.Struct, frozen=True):
    """`at_s` is the Unix time when it was given, by the server's clock if it told."""

    body: bytes
    at_s: float


def token_request(
    origin: Origin, target: bytes, headers: Headers, form: Mapping[str, str] | None = None, *, proxy: bool = False
) -> UpstreamRequest:
    """A GET, or a POST of a form as OAuth's token endpoints and AWS's STS take it."""
    sent = [*headers, (b"accept", b"*/*"), (b"accept-encoding", b"identity"), (b"user-agent", b"trunkline")]
    if form is not None:
        sent.append((b"content-type", b"application/x-www-form-urlencoded"))
    return UpstreamRequest(
        origin=origin,
        method=b"GET" if form is None else b"POST",
        target=target,
        headers=sent,
        body=b"" if form is None else urlencode(form).encode("ascii"),
        timers=TOKEN_TIMERS,
        proxy=proxy,
    )


async def fetch(transport: Transport, request: UpstreamRequest, provider_id: str) -> TokenAnswer:
    """The answer of a token endpoint or metadata server. Raises UpstreamAccount when it refuses our credential.

    What it said is for whoever runs the gateway, so it goes to the log alone, without anything that was sent or looks
    like a secret.
    """
    response = await transport.send(request)
    body = await response.read(LONGEST_ANSWER)
    if response.status == 200:
        return TokenAnswer(body, _served_at_s(response.headers))
    where = f"{request.origin.host} ({response.status})"
    if 400 <= response.status < 500 and response.status not in (408, 425, 429):
        reason = faults.clean(_without(_sent(request), _reason(body)))
        log.warning("credential_refused", provider=provider_id, status=response.status, reason=reason)
        raise errors.UpstreamAccount(
            f"The credential of the provider {provider_id} was refused by {where}. "
            "Your key is fine; whoever runs the gateway must look at that credential.",
            status=response.status,
        )
    wait_s = faults.retry_after_s(response.headers)
    raise faults.from_facts(provider_id, response.status, ErrorFacts(message="no token could be had"), wait_s)


def not_a_token(provider_id: str, origin: Origin) -> UpstreamFailed:
    return UpstreamFailed(f"{origin.host} did not answer with a credential for the provider {provider_id}.")


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float


def read_token(answer: TokenAnswer, provider_id: str, origin: Origin) -> Token:
    """RFC 6749 section 5.1. `expires_in` may be text: Azure's metadata server sends it so. Raises UpstreamFailed."""
    try:
        granted = msgspec.json.decode(answer.body, type=_Granted, strict=False)
    except codec.UNREADABLE:
        raise not_a_token(provider_id, origin) from None
    token = granted.access_token
    if not token or not token.isascii() or not token.isprintable() or " " in token or not granted.expires_in > 0:
        raise not_a_token(provider_id, origin)
    return Token(Secret(token), granted.expires_in)


def _served_at_s(headers: Headers) -> float:
    for name, value in headers:
        if name == b"date":
            try:
                return parsedate_to_datetime(value.decode("latin-1")).timestamp()
            except (ValueError, OverflowError):
                break
    return clock.now_s()


SHORTEST_SENT: Final = 6


def _sent(request: UpstreamRequest) -> list[str]:
    """Every value that an answer could repeat."""
    values = [value.decode("latin-1") for _, value in request.headers]
    values += [value for _, value in parse_qsl(request.body.decode("ascii"))]
    return sorted((value for value in values if len(value) >= SHORTEST_SENT), key=len, reverse=True)


def _without(values: list[str], text: str) -> str:
    for value in values:
        text = text.replace(value, "[redacted]")
    return text


class _Refused(msgspec.Struct):
    error: str = ""
    error_description: str = ""


_XML_ERROR = re.compile(rb"<Code>([^<]{1,256})</Code>\s*<Message>([^<]{0,2048})</Message>")


def _reason(body: bytes) -> str:
    """RFC 6749 section 5.2, AWS's XML, or any error that a provider's answer can hold."""
    try:
        refused = msgspec.json.decode(body, type=_Refused)
    except codec.UNREADABLE:
        refused = _Refused()
    if refused.error:
        return f"{refused.error}: {refused.error_description}"
    found = _XML_ERROR.search(body)
    if found is not None:
        return f"{found[1].decode('latin-1')}: {found[2].decode('latin-1')}"
    return read_error(body).message
