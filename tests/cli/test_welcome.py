"""What is said at the start can be pasted, and shows a key once."""

from __future__ import annotations

import shlex
import sys

import msgspec
import pytest

from trunkline.cli.welcome import command, curl, first_start, later_start

URL = "http://127.0.0.1:8080"


def test_the_first_start_shows_answer_link_key_and_curl() -> None:
    page = first_start(URL, "hello", f"{URL}/console/enter?token=t", "sk-tl-key")
    assert "sandbox/echo answered: hello\n" in page
    assert f"{URL}/console/enter?token=t\n" in page
    assert page.count("sk-tl-key") == 2


def test_a_later_start_says_how_to_make_a_key() -> None:
    page = later_start(URL, "hello", "/a b")
    assert "sandbox/echo answered: hello\n" in page
    assert "trunkline keys create --data-dir '/a b'\n" in page
    assert "trunkline admin-link --data-dir '/a b'\n" in page


def test_the_curl_line_is_one_command_with_a_json_body() -> None:
    words = shlex.split("\n".join(curl(URL, "sk-tl-key")))
    assert words[:2] == ["curl", f"{URL}/v1/chat/completions"]
    assert "Authorization: Bearer sk-tl-key" in words
    body = msgspec.json.decode(words[-1])
    assert body["model"] == "sandbox/echo"
    assert body["messages"][0]["role"] == "user"


@pytest.mark.parametrize(
    ("program", "shown"),
    [(".venv/bin/trunkline", ".venv/bin/trunkline"), ("/x/python -m", "trunkline"), ("", "trunkline")],
)
def test_commands_are_those_of_the_program_that_runs(program: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [program, "serve"])
    assert command("keys create", "/d") == f"{shown} keys create --data-dir /d"
