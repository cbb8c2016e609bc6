"""Parts of items that other protocols say otherwise."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from tests.translation.openai_responses.exchanges import asked, plain
from trunkline.translation.openai_responses.output import fitting_annotations, fitting_logprobs, joined

FITTING = (
    b'{"type":"file_citation","file_id":"f","filename":"a","index":0}',
    b'{"type":"url_citation","url":"u","title":"t","start_index":0,"end_index":1}',
    b'{"type":"container_file_citation","container_id":"c","file_id":"f","filename":"a","start_index":0,"end_index":1}',
    b'{"type":"file_path","file_id":"f","index":0}',
)
# Of Messages, and of Chat Completions, which has one of the same type.
FOREIGN = (
    b'{"type":"web_search_result_location","url":"u","title":"t","cited_text":"c","encrypted_index":"e"}',
    b'{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":0,"end_index":1}}',
    b"5",
)


def test_annotations_of_this_protocol_stay() -> None:
    told = Raw(b"[" + b",".join((*FITTING, *FOREIGN)) + b"]")
    assert [bytes(one) for one in fitting_annotations(told)] == list(FITTING)
    assert fitting_annotations(None) == fitting_annotations(Raw(b"{}")) == []


def test_logprobs_have_bytes_and_go_to_those_who_asked() -> None:
    request = asked(include=["message.output_text.logprobs"])
    told = Raw('[{"token":"\u00e9","logprob":-1}]'.encode())
    assert msgspec.json.decode(fitting_logprobs(told, request)) == [
        {"token": "\u00e9", "logprob": -1.0, "bytes": [195, 169], "top_logprobs": []}
    ]
    assert bytes(fitting_logprobs(told, plain())) == b"[]"
    assert bytes(fitting_logprobs(None, request)) == b"[]"
    assert bytes(fitting_logprobs(Raw(b'{"content":[]}'), request)) == b"[]"


@pytest.mark.parametrize(("pieces", "whole"), [([], b"[]"), ([b"1"], b"[1]"), ([Raw(b"1"), b"2"], b"[1,2]")])
def test_values_are_joined(pieces: list[bytes | Raw], whole: bytes) -> None:
    assert bytes(joined(pieces)) == whole
