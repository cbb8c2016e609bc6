from __future__ import annotations

from tests.storage.logged import BASE, logged
from trunkline.ids import call_id
from trunkline.ports.requests import RequestLog, RequestRow
from trunkline.storage.requests import SqlRequestLog


def fulfil(log: SqlRequestLog) -> RequestLog:
    """The type checker reads this."""
    return log


def test_a_row_has_no_body_and_no_secret() -> None:
    names = set(RequestRow.__struct_fields__)
    assert not names & {"input", "output", "messages", "body", "prompt", "content", "key", "headers"}
    assert logged(BASE).request_id == call_id(BASE)
