"""What a person may call an account or a key."""

from __future__ import annotations

from trunkline.errors import InvalidRequest

LONGEST_NAME = 200


def checked_name(name: str, what: str) -> str:
    """The name without surrounding spaces. Raises InvalidRequest when a list could not show it on one line."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"The name of {what} is 1 to {LONGEST_NAME} printable characters.", param="name")
    return name
