"""Who the client is behind reverse proxies: forwarding headers count only from addresses that are trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from trunkline.errors import SettingsInvalid
from trunkline.http.asgi import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PARSED_MAX = 4_096


class TrustedProxies:
    """`networks` as written in the settings: an address is a network of one. Raises SettingsInvalid."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(network_of(text) for text in networks)
        self._nearest_untrusted = lru_cache(PARSED_MAX)(self._search)

    def trusts(self, address: str) -> bool:
        if not self._networks:
            return False
        parsed = address_of(address)
        return parsed is not None and self._holds(parsed)

    def apply(self, scope: Scope) -> None:
        """Puts the forwarded client and scheme into `scope`, whose peer is trusted. Its port is unknown, so 0."""
        chain = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        client = self._nearest_untrusted(chain) if chain else None
        if client is not None:
            scope["client"] = (client, 0)
        schemes = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
        if schemes:
            # Proxies append, so the last word is from the one that is trusted.
            scheme = schemes[-1].rpartition(b",")[2].strip().lower()
            if scheme in (b"http", b"https"):
                scope["scheme"] = scheme.decode("ascii")

    def _search(self, chain: bytes) -> str | None:
        """The rightmost address that is no proxy of ours: what stands left of it was written by strangers."""
        nearest = None
        for entry in reversed(chain.split(b",")):
            address = address_of(entry.decode("latin-1"))
            if address is None:
                break
            nearest = str(address)
            if not self._holds(address):
                break
        return nearest

    def _holds(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def network_of(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SettingsInvalid(
            f"server.trusted_proxies: {text!r} is no address and no network; write one such as 10.0.0.0/8.",
            param="server.trusted_proxies",
        ) from None


def address_of(text: str) -> Address | None:
    """An address as proxies write it: bare, with a port, in brackets. None for anything else (`unknown`, `_id`)."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket that listens on both families shows ::ffff:10.0.0.1 for 10.0.0.1.
    return getattr(address, "ipv4_mapped", None) or address
