"""A URL of the settings as an origin and a path."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from trunkline.errors import SettingsInvalid
from trunkline.providers.transport import Origin

DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?\.?|[0-9a-f:.]{2,45}")
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")


def is_loopback(origin: Origin) -> bool:
    return _LOOPBACK.fullmatch(origin.host) is not None


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


def split_token_url(url: str, setting: str) -> tuple[Origin, bytes]:
    """The same for a URL that secrets are sent to: over http to this machine alone. Raises SettingsInvalid."""
    origin, path = split_base_url(url, setting)
    if origin.scheme == "http" and not is_loopback(origin):
        raise SettingsInvalid(f"{setting}: a secret is sent there, so it must begin with https://", param=setting)
    return origin, path
