"""`call` prints what the model said, and says what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from trunkline.cli.program import app

Start = Callable[..., str]
ANSWER = b'{"choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":1}}'
STREAM = b'data: {"choices":[{"delta":{"content":"hel"}}]}\n\ndata: {"choices":[{"delta":{"content":"lo"}}]}\n\n'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TRUNKLINE_KEY", "TRUNKLINE_URL"):
        monkeypatch.delenv(name, raising=False)


def call(*arguments: str, stdin: str = "", **environment: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["call", *arguments], input=stdin, env=environment)
    return done.exit_code, done.stdout, done.stderr


def test_the_answer_alone_is_printed(gateway_url: Start) -> None:
    assert call("m", "hi", "--url", gateway_url(200, ANSWER) + "/", "--key", "k") == (0, "hello\n", "")


def test_key_and_url_may_stand_in_the_environment(gateway_url: Start) -> None:
    heads: list[bytes] = []
    url = gateway_url(200, ANSWER, heads)
    assert call("m", "-", stdin="from a pipe", TRUNKLINE_URL=url, TRUNKLINE_KEY="k")[0] == 0
    assert b"authorization: Bearer k\r\n" in heads[0]
    assert b"from a pipe" in heads[0]


def test_json_is_the_whole_answer(gateway_url: Start) -> None:
    _, out, _ = call("m", "hi", "--json", "--url", gateway_url(200, ANSWER), "--key", "k")
    assert msgspec.json.decode(out) == msgspec.json.decode(ANSWER)


def test_a_stream_is_printed_as_it_comes(gateway_url: Start) -> None:
    url = gateway_url(200, STREAM + b"data: [DONE]\n\n")
    assert call("m", "hi", "--stream", "--url", url, "--key", "k") == (0, "hello\n", "")


def test_a_cut_stream_is_no_success(gateway_url: Start) -> None:
    code, out, errors = call("m", "hi", "--stream", "--url", gateway_url(200, STREAM), "--key", "k")
    assert (code, out) == (1, "hello")
    assert "cut" in errors


def test_a_refusal_is_one_sentence(gateway_url: Start) -> None:
    url = gateway_url(404, b'{"error":{"message":"No model m.","type":"x","param":null,"code":"model_not_found"}}')
    assert call("m", "hi", "--url", url, "--key", "k") == (1, "", "trunkline: 404: No model m.\n")


@pytest.mark.parametrize("key", [[], ["--key", "a b"], ["--key", "ü"]])
def test_without_a_good_key_nothing_is_sent(key: list[str], gateway_url: Start) -> None:
    heads: list[bytes] = []
    code, _, errors = call("m", "hi", "--url", gateway_url(200, ANSWER, heads), *key)
    assert code == 1
    assert "key" in errors
    assert "ü" not in errors
    assert heads == []


def test_how_a_key_is_made_is_told() -> None:
    _, _, errors = call("m", "hi", "--data-dir", "here")
    assert "trunkline keys create --data-dir" in errors


def test_json_of_a_stream_is_wrong_usage() -> None:
    assert call("m", "hi", "--json", "--stream", "--key", "k")[0] == 2
