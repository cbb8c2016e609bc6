"""What every protocol's room offers, under the same names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

import msgspec
from msgspec import Raw

from trunkline.errors import Defect
from trunkline.translation.exchange import Answer, Request
from trunkline.translation.losses import Loss, Losses
from trunkline.translation.streams import MakeError, StreamReader, StreamWriter
from trunkline.translation.target import Target
from trunkline.wire.inbound import Inbound


def not_spoken(*given: object) -> NoReturn:
    """In the place of what only a caller's protocol needs."""
    raise Defect("Providers speak this protocol, callers do not.")


class Translator(msgspec.Struct, frozen=True, kw_only=True):
    """One protocol, both ways. `losses` is the table of what a request or an answer loses on its way into it.

    A protocol that no caller speaks leaves out `read_request`, `write_answer` and `writer`.

    read_request    the caller's request; raises InvalidRequest naming the field. Unknown fields go into `extras`
    write_request   the body for a provider; what it cannot say is told to the Losses
    read_answer     a provider's whole answer (status 200); raises UpstreamFailed when it is none
    write_answer    the body for the caller who asked this Request
    reader, writer  the same for streams
    takes_schema    may answers be asked for in this schema, of a model that keeps to schemas by itself
    """

    protocol: str
    read_request: Callable[[Inbound], Request] = not_spoken
    write_request: Callable[[Request, Target, Losses], bytes]
    read_answer: Callable[[bytes, Target], Answer]
    write_answer: Callable[[Answer, Request], bytes] = not_spoken
    reader: Callable[[Target, MakeError], StreamReader]
    writer: Callable[[Request], StreamWriter] = not_spoken
    takes_schema: Callable[[Raw], bool] = lambda schema: True
    losses: Sequence[Loss]
