"""What is said at the start can be pasted, and shows a key once."""

from __future__ import annotations

import shlex

import msgspec

from trunkline.cli.welcome import FirstStart, curl, first_start, later_start

FIRST = FirstStart("http://127.0.0.1:8080", "sk-tl-key", "the-token")


def test_the_first_start_shows_answer_link_key_and_curl() -> None:
    page = first_start(FIRST, "hello")
    assert "sandbox/echo answered: hello\n" in page
    assert "http://127.0.0.1:8080/console/enter?token=the-token\n" in page
    assert page.count("sk-tl-key") == 2
    assert "answered" not in first_start(FIRST, None)


def test_printing_the_facts_shows_no_secret() -> None:
    assert "sk-tl-key" not in repr(FIRST)
    assert "the-token" not in repr(FIRST)


def test_a_later_start_says_how_to_make_a_key() -> None:
    page = later_start("http://127.0.0.1:8080", lambda command: ["trunkline", *command.split(), "--data-dir", "a b"])
    assert "trunkline keys create --data-dir 'a b'\n" in page
    assert "trunkline admin-link --data-dir 'a b'\n" in page
    assert "answered" not in page


def test_the_curl_line_is_one_command_with_a_json_body() -> None:
    words = shlex.split("\n".join(curl("http://127.0.0.1:8080", "sk-tl-key")))
    assert words[:2] == ["curl", "http://127.0.0.1:8080/v1/chat/completions"]
    assert "Authorization: Bearer sk-tl-key" in words
    body = msgspec.json.decode(words[-1])
    assert body["model"] == "sandbox/echo"
    assert body["messages"][0]["role"] == "user"
