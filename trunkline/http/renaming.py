"""Errors of the stores, about the fields as the caller knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trunkline.errors import InvalidRequest, NotFound


@contextmanager
def renamed(names: Mapping[str, str]) -> Iterator[None]:
    """`names`: what the store calls a field -> what the request calls it. The error keeps its kind and its code."""
    try:
        yield
    except (InvalidRequest, NotFound) as error:
        if error.param is not None and error.param in names:
            error.param = names[error.param]
        raise
