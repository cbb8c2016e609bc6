"""URLs that name a model, whatever it is called."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.providers import targets

ARN = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc"


@pytest.mark.parametrize(
    ("target", "written"),
    [
        (targets.bedrock_converse("us.meta.llama-v1:0", streaming=False), b"/model/us.meta.llama-v1%3A0/converse"),
        (
            targets.bedrock_converse(ARN, streaming=True),
            (
                b"/model/arn%3Aaws%3Abedrock%3Aus-west-2%3A123456789012%3Aapplication-inference-profile%2Fabc"
                b"/converse-stream"
            ),
        ),
        (targets.vertex_messages("claude-x@20250514", streaming=False), b"/models/claude-x@20250514:rawPredict"),
        (targets.vertex_messages("claude-x", streaming=True), b"/models/claude-x:streamRawPredict"),
        (
            targets.azure(b"/openai", b"/chat/completions", "my gpt", "2024-10-21"),
            b"/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
        ),
        (targets.azure(b"/openai", b"/responses", "gpt", "2025-03-01"), b"/openai/responses?api-version=2025-03-01"),
        (targets.azure(b"/openai/v1", b"/chat/completions", "gpt", None), b"/openai/v1/chat/completions"),
        (
            targets.azure(b"/openai/v1", b"/chat/completions", "gpt", "preview"),
            b"/openai/v1/chat/completions?api-version=preview",
        ),
    ],
)
def test_the_vendors_spellings(target: bytes, written: bytes) -> None:
    assert target == written


@pytest.mark.parametrize("model", ["", ".", "..", "../keys", "a/../b", "a/..", "..\\a", "a/./b"])
def test_a_name_that_would_mean_another_path_is_refused(model: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        targets.segment(model)
    assert caught.value.param == "model"


@given(st.text(min_size=1, max_size=40))
def test_any_other_name_is_one_segment_and_comes_back_whole(model: str) -> None:
    if not {".", ".."}.isdisjoint(model.replace("\\", "/").split("/")):
        return
    path = targets.bedrock_converse(model, streaming=False)
    assert path.count(b"/") == 3
    assert not set(path) & set(b" ?#\r\n")
    assert unquote(path.split(b"/")[2].decode()) == model
