"""What a caller may set on an account or a key: every check raises InvalidRequest that names the field."""

from __future__ import annotations

import re
from typing import Final

from trunkline.errors import InvalidRequest

MOST_GLOBS: Final = 200
LONGEST_GLOB: Final = 200
LONGEST_TAG: Final = 64
LONGEST_NOTE: Final = 500
LONGEST_EMAIL: Final = 254
MOST_COUNT: Final = 2**53 - 1
"""The largest integer that every JSON reader takes for what it is."""
MOST_NANOS: Final = 10**18
"""A billion dollars; sums of a few still fit 64 bits."""
MOST_PAIRS: Final = 16
LONGEST_PAIR: Final = (64, 512)

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")


def checked_globs(globs: tuple[str, ...]) -> tuple[str, ...]:
    if len(globs) > MOST_GLOBS:
        raise InvalidRequest(f"There are at most {MOST_GLOBS} models or patterns.", param="models")
    for glob in globs:
        if not glob.removeprefix("!") or len(glob) > LONGEST_GLOB or not glob.isprintable():
            raise InvalidRequest(
                f"A model pattern is 1 to {LONGEST_GLOB} printable characters, such as 'openai/*'.", param="models"
            )
    return globs


def checked_tag(tag: str | None, param: str = "default_tag") -> str | None:
    if tag is not None and (not tag or len(tag) > LONGEST_TAG or not tag.isprintable()):
        raise InvalidRequest(f"A tag is 1 to {LONGEST_TAG} printable characters.", param=param)
    return tag


def checked_note(note: str | None, param: str = "note", longest: int = LONGEST_NOTE) -> str | None:
    """Lines may be broken in it; other control characters may not be in it."""
    if note is not None and (len(note) > longest or not note.replace("\n", "").isprintable()):
        raise InvalidRequest(f"{param!r} is at most {longest} printable characters.", param=param)
    return note


def checked_count(count: int | None, param: str, least: int = 1) -> int | None:
    if count is not None and not least <= count <= MOST_COUNT:
        raise InvalidRequest(f"{param!r} is a whole number, {least} or more.", param=param)
    return count


def checked_email(email: str) -> str:
    """In lower case."""
    email = email.strip().lower()
    if len(email) > LONGEST_EMAIL or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise InvalidRequest("An e-mail address looks like somebody@example.com.", param="email")
    return email


def checked_metadata(metadata: dict[str, str]) -> dict[str, str]:
    if len(metadata) > MOST_PAIRS:
        raise InvalidRequest(f"There are at most {MOST_PAIRS} pairs of metadata.", param="metadata")
    for pair in metadata.items():
        if not pair[0] or any(len(text) > longest for text, longest in zip(pair, LONGEST_PAIR, strict=True)):
            raise InvalidRequest(
                f"Names in metadata have 1 to {LONGEST_PAIR[0]} characters, values at most {LONGEST_PAIR[1]}.",
                param="metadata",
            )
    return metadata
