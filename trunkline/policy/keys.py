"""What a key looks like, and what it may do.

A minted key is `<prefix>-<public id>-<secret><checksum>`: 12, 43 and 6 characters of base62. The checksum is the CRC-32
of all that stands before it, so a mistyped key is refused without a look-up; a CRC notices every change of up to four
neighbouring bytes. It guards against slips, not against forgers: the secret's 256 bits do that.
"""

from __future__ import annotations

import fnmatch
import functools
import hmac
import ipaddress
import re
import zlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from trunkline.catalog.models import Deployment
from trunkline.errors import Forbidden, InvalidRequest
from trunkline.ids import ROOT_ACCOUNT, AccountId, base62
from trunkline.ports.audit import Actor, Role
from trunkline.ports.keys import KeyRecord, KeyRoute, KeyState
from trunkline.routing.table import Route

PUBLIC_ID_WIDTH = 12
SECRET_WIDTH = 43
CHECKSUM_WIDTH = 6

SHORTEST_IMPORT = 8
LONGEST_IMPORT = 512
# What people type when a key is asked for, and what tutorials use as one.
WEAK = frozenset(
    """sk-12345 sk-123456 sk-1234567 sk-12345678 sk-123456789 password password1 password123 passw0rd p@ssw0rd
    changeme changeit letmein1 12345678 123456789 1234567890 87654321 0123456789 qwertyui qwerty123 abcdefgh abcd1234
    iloveyou trustno1 admin123 administrator masterkey master-key sk-master secret123 topsecret""".split()  # noqa: SIM905 - thirty lines of quotes say no more
)

Scope = Literal["inference", "read", "manage", "admin"]
_HINTS: Final[dict[Scope, str]] = {"inference": "", "read": " --viewer", "manage": " --manage", "admin": " --admin"}


class KeysOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[keys]`"""

    prefix: Annotated[
        str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,31}$", description="What minted keys begin with.")
    ] = "sk-tl"
    pepper: Annotated[
        str | None,
        Meta(
            description="`file:PATH` or `env:NAME` of the secret that digests keys; default: `pepper` in the data"
            " directory."
        ),
    ] = None

    def __repr__(self) -> str:
        # The settings hold the pepper's value here, not its place.
        return f"KeysOptions(prefix={self.prefix!r}, pepper={'unset' if self.pepper is None else 'set'})"


class KeyShape:
    """How minted keys of one prefix are written and recognised."""

    __slots__ = ("_pattern", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._pattern = re.compile(
            rf"({re.escape(prefix)}-([0-9A-Za-z]{{{PUBLIC_ID_WIDTH}}})-[0-9A-Za-z]{{{SECRET_WIDTH}}})"
            rf"([0-9A-Za-z]{{{CHECKSUM_WIDTH}}})"
        )

    def mint(self, public_id: str, secret: str) -> str:
        """The whole key. Both parts are random base62 of their widths; the secret is never used for anything else."""
        if len(public_id) != PUBLIC_ID_WIDTH or len(secret) != SECRET_WIDTH:
            raise ValueError(f"a key has a public id of {PUBLIC_ID_WIDTH} and a secret of {SECRET_WIDTH} characters")
        body = f"{self.prefix}-{public_id}-{secret}"
        return body + checksum(body)

    def public_id(self, key: str) -> str | None:
        """The public id in a key of our shape; None for any other string."""
        found = self._pattern.fullmatch(key)
        return found[2] if found else None

    def is_garbled(self, key: str) -> bool:
        """Our shape, but the checksum does not fit: nobody was ever given this key."""
        found = self._pattern.fullmatch(key)
        return found is not None and found[3] != checksum(found[1])


def checksum(body: str) -> str:
    """CRC-32 in base62. 62**6 is more than 2**32, so no two values share a spelling."""
    return base62(zlib.crc32(body.encode("ascii")), CHECKSUM_WIDTH)


def digest(pepper: bytes, key: str) -> bytes:
    """HMAC-SHA256 over the whole key, 32 bytes. A slow hash would add nothing to a secret of 256 bits."""
    # A header may hold any byte; one that is no text must miss, not raise.
    return hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), "sha256")


def state(record: KeyRecord, now_s: float) -> KeyState:
    """`now_s` is Unix time. A key ends at its `expires_at`, not after it."""
    return "expired" if record.expires_at is not None and now_s >= record.expires_at else "active"


def may(record: KeyRecord, scope: Scope) -> bool:
    """`inference`: calls; not a viewer's. `read`: what is in its account's subtree. `manage`: changes there too.
    `admin`: people and admin keys of it as well. Facts about the key itself need no scope."""
    if scope == "admin":
        return record.admin
    if scope == "manage":
        return record.manage or record.admin
    read_only = record.limits is not None and record.limits.read_only
    return not read_only if scope == "inference" else read_only or record.manage or record.admin


def role(record: KeyRecord) -> Role:
    if record.admin:
        return "owner"
    if record.manage:
        return "admin"
    return "member" if may(record, "inference") else "viewer"


def reach(record: KeyRecord) -> AccountId:
    """The account whose subtree the key sees, an admin's too: the root's admin sees everything."""
    return record.account_id


def is_operator(record: KeyRecord) -> bool:
    """May the key run the gateway itself? An admin's of the root may; one of another account is a tenant's."""
    return record.admin and record.account_id == ROOT_ACCOUNT


def require_operator(record: KeyRecord) -> None:
    """Raises Forbidden with what to do."""
    if not is_operator(record):
        raise Forbidden("This needs an admin key of the root account: make one with `trunkline keys create --admin`.")


def actor(record: KeyRecord, address: str | None = None) -> Actor:
    """Who acts when the key does. `address`: where from."""
    return Actor(kind="key", id=record.key_id, account_id=record.account_id, role=role(record), address=address)


def require_route(record: KeyRecord, route: KeyRoute) -> None:
    """Raises Forbidden for a call that the key may not make over any model: `route_not_allowed`, or `scope_missing`
    for a viewer's."""
    limits = record.limits
    if limits is None:
        return
    if limits.read_only and route != "models":
        raise Forbidden("This key may only read; it makes no calls.", code="scope_missing")
    if limits.routes and route not in limits.routes:
        raise Forbidden(
            f"This key may not use {route}; it may use {', '.join(limits.routes)}.", code="route_not_allowed"
        )


def require_address(record: KeyRecord, address: str | None) -> None:
    """Raises Forbidden (`address_not_allowed`) when the key is kept to networks that `address` is not in.

    `address`: the client's, IPv4 or IPv6, None when it is not known.
    """
    limits = record.limits
    if limits is None or not limits.addresses:
        return
    if address is None or not _is_within(address, limits.addresses):
        raise Forbidden("This key may not be used from this address.", code="address_not_allowed")


def networks(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and networks in their one spelling, each once. Raises InvalidRequest."""
    found = []
    for text in addresses:
        try:
            found.append(str(ipaddress.ip_network(text.strip(), strict=False)))
        except ValueError:
            raise InvalidRequest(
                "An address is IPv4 or IPv6, or a network such as 192.0.2.0/24 or 2001:db8::/32.", param="addresses"
            ) from None
    return tuple(dict.fromkeys(found))


@functools.lru_cache(maxsize=4096)
def _is_within(address: str, addresses: tuple[str, ...]) -> bool:
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped  # how a socket of both families tells of a caller over IPv4
    return any(client in ipaddress.ip_network(network) for network in addresses)


def require(record: KeyRecord, scope: Scope) -> None:
    """Raises Forbidden with what to do when the key lacks the scope."""
    if not may(record, scope):
        hint = _HINTS[scope]
        raise Forbidden(
            f"This key has no {scope} scope; `trunkline keys create{hint}` makes one that has.", code="scope_missing"
        )


def matches(globs: tuple[str, ...], name: str) -> bool:
    """Does any glob match the whole name, and none that begins with `!`? With `!` alone the rest of the world is meant.
    Case is folded on both sides."""
    allowed, denied = _halves(globs)
    return not _any(denied, name) and (_any(allowed, name) if allowed else bool(denied))


def permitted(record: KeyRecord, route: Route) -> tuple[Deployment, ...]:
    """The deployments of the route that the key may use, in the route's order, never none. Raises Forbidden."""
    return narrowed(route, route.deployments, record.models, "This key")


def narrowed(
    route: Route, deployments: tuple[Deployment, ...], globs: tuple[str, ...], whose: str
) -> tuple[Deployment, ...]:
    """Those of `deployments` that the globs of a key or an account leave, in their order, never none.

    A name that is listed, alias or id, brings the whole route. One that is not brings those deployments whose model ids
    are. What a `!` names is never among them. Raises Forbidden when nothing is left; `whose` begins its sentence.
    """
    if not globs:
        return deployments
    allowed, denied = _halves(globs)
    names = (route.asked,) if route.alias is None else (route.asked, route.alias)
    left = deployments
    if allowed and not any(_any(allowed, name) for name in names):
        left = tuple(one for one in left if _any(allowed, one.model_id))
    if denied:
        banned = any(_any(denied, name) for name in names)
        left = () if banned else tuple(one for one in left if not _any(denied, one.model_id))
    if not left:
        raise Forbidden(
            f"{whose} may not use the model {route.asked!r}; it may use {', '.join(globs)}.",
            code="model_not_allowed",
            param="model",
        )
    return left


def _any(globs: tuple[str, ...], name: str) -> bool:
    folded = name.casefold()
    return any(fnmatch.fnmatchcase(folded, glob) for glob in globs)


@functools.lru_cache(maxsize=4096)
def _halves(globs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What they allow and what they take away, in folded case."""
    folded = tuple(glob.casefold() for glob in globs)
    denied = tuple(glob[1:] for glob in folded if glob.startswith("!"))
    return tuple(glob for glob in folded if not glob.startswith("!")), denied


def check_import(key: str, shape: KeyShape) -> None:
    """Raises InvalidRequest for a string that cannot be sent as a key, or that somebody could guess."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidRequest("A key is printable ASCII without spaces, or no header could carry it.", param="key")
    if len(key) < SHORTEST_IMPORT:
        raise InvalidRequest(
            f"This key is too short to be safe: {SHORTEST_IMPORT} characters or more, or let"
            " `trunkline keys create` make one.",
            param="key",
            code="weak_key",
        )
    if len(key) > LONGEST_IMPORT:
        raise InvalidRequest(f"A key has at most {LONGEST_IMPORT} characters.", param="key")
    if key.casefold() in WEAK or len(set(key.removeprefix("sk-"))) < 4:
        raise InvalidRequest(
            "This key is one of the first that anybody would try; let `trunkline keys create` make one.",
            param="key",
            code="weak_key",
        )
    if shape.is_garbled(key):
        raise InvalidRequest(
            f"This looks like a key of the prefix {shape.prefix!r}, but its checksum does not fit; was it cut or"
            " mistyped?",
            param="key",
        )
