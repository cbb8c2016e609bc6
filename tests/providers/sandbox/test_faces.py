from __future__ import annotations

import msgspec
import pytest

from tests.providers.sandbox.exchange import chat, request
from trunkline.providers.sandbox.faces import answer, chat_completions, faces, path_of
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.sandbox.openai_errors import JSON
from trunkline.providers.sandbox.response import Plan
from trunkline.providers.transport import UpstreamRequest

COUNTS = FaultCounts()
ASKED = request(chat("echo", "hi"))


def test_the_first_face_that_answers_is_the_answer() -> None:
    asked: list[str] = []

    def silent(request: UpstreamRequest, account: bytes, counts: FaultCounts) -> Plan | None:
        asked.append("silent")
        return None

    def speaking(request: UpstreamRequest, account: bytes, counts: FaultCounts) -> Plan | None:
        asked.append(account.decode())
        return Plan(status=299, headers=JSON, steps=iter(()))

    assert answer([silent, speaking, silent], ASKED, b"a", COUNTS).status == 299
    assert asked == ["silent", "a"]


def test_a_path_of_no_face_is_not_found() -> None:
    plan = answer([], ASKED, b"", COUNTS)
    (body,) = plan.steps
    assert isinstance(body, bytes)
    assert plan.status == 404
    said = "unknown request URL: POST /v1/chat/completions"
    assert msgspec.json.decode(body)["error"]["message"] == said


def test_a_query_is_no_part_of_the_path() -> None:
    asked = request(chat("echo", "hi"))
    asked.target = b"/v1/chat/completions?x=/v1/messages"
    assert path_of(asked) == b"/v1/chat/completions"


@pytest.mark.parametrize(("method", "found"), [(b"POST", True), (b"GET", False)])
def test_chat_completions(method: bytes, found: bool) -> None:
    asked = request(chat("echo", "hi"))
    asked.method = method
    assert (chat_completions(asked, b"", COUNTS) is not None) == found


def test_no_path_is_two_faces() -> None:
    assert sum(face(ASKED, b"", COUNTS) is not None for face in faces()) == 1
