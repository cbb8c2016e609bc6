"""Which host a request is for: the grammar of Host, and request targets that name a host themselves.

RFC 9112 3.2: exactly one Host in every request, of the grammar uri-host [":" port] of RFC 3986. A reg-name may
hold sub-delims there (`!$&'()*+,;=`); no name in use does, a comma is how two joined Hosts look, and a quote in a
Host is a mishap waiting where it is printed. So they are refused.
"""

from __future__ import annotations

import ipaddress
import re

from trunkline.http import refusals

KNOWN_HOSTS_MAX = 1_024
NAME = re.compile(rb"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+(?::(?P<port>[0-9]{0,5}))?")
ADDRESS = re.compile(rb"\[([0-9A-Fa-f:.]+)\](?::(?P<port>[0-9]{0,5}))?")

known_hosts: set[bytes] = set()
"""Host values found valid. Looking one up costs a fiftieth of matching it again."""


def require_host(host: bytes) -> None:
    """Raises Refusal unless `host` is a valid Host; then it is among `known_hosts`, which stay few."""
    if not is_valid_host(host):
        raise refusals.HOST
    if len(known_hosts) >= KNOWN_HOSTS_MAX:
        known_hosts.clear()
    known_hosts.add(host)


def is_valid_host(host: bytes) -> bool:
    """True for a name, an IPv4 address or a bracketed IPv6 address, with or without a port."""
    bracketed = ADDRESS.fullmatch(host)
    found = bracketed or NAME.fullmatch(host)
    if found is None or len(host) > 261:  # a DNS name has at most 255 bytes, a port 6 with its colon
        return False
    if bracketed is not None:
        try:
            ipaddress.IPv6Address(bracketed[1].decode("ascii"))
        except ValueError:
            return False
    return int(found["port"] or 0) <= 65_535


def origin_form(method: bytes, target: bytes, host: bytes) -> bytes:
    """The path and query of a target that does not begin with a slash. Raises Refusal when it is not for `host`.

    RFC 9112 3.2.2: a server accepts the absolute form. It names the host a second time; two names that differ are
    how a request reaches another host than the proxy before us believed (3.2: the client must send them alike).
    """
    if target == b"*" and method == b"OPTIONS":
        return target
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https") or b"#" in target:
        raise refusals.TARGET
    end = min(at for at in (rest.find(b"/"), rest.find(b"?"), len(rest)) if at >= 0)
    if rest[:end].lower() != host.lower():
        raise refusals.HOST_DIFFERS
    path = rest[end:]
    return path if path.startswith(b"/") else b"/" + path
