"""A URL of the settings: an origin and a path, or a refusal that names the setting and shows no credential."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import SettingsInvalid
from trunkline.providers.base_url import is_loopback, split_base_url, split_token_url
from trunkline.providers.transport import Origin


@pytest.mark.parametrize(
    ("base_url", "origin", "path"),
    [
        ("https://api.openai.com/v1", ("https", "api.openai.com", 443), b"/v1"),
        ("https://api.openai.com/v1/", ("https", "api.openai.com", 443), b"/v1"),
        ("HTTPS://API.OpenAI.com/V1", ("https", "api.openai.com", 443), b"/V1"),
        ("http://localhost:8000", ("http", "localhost", 8000), b""),
        ("http://[::1]:8000/v1", ("http", "::1", 8000), b"/v1"),
        ("http://10.0.0.5", ("http", "10.0.0.5", 80), b""),
        (
            "https://h.example/client/v4/accounts/abc/ai/v1",
            ("https", "h.example", 443),
            b"/client/v4/accounts/abc/ai/v1",
        ),
    ],
)
def test_a_base_url_is_an_origin_and_a_path(base_url: str, origin: tuple[str, str, int], path: bytes) -> None:
    assert split_base_url(base_url, "x") == (Origin(*origin), path)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.openai.com/v1",
        "//api.openai.com/v1",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://user:secret@host/v1",
        "https://secret@host/v1",
        "https://host/v1?key=secret",
        "https://host/v1#x",
        "https://host/v1?",
        "https://host:0/v1",
        "https://host:70000/v1",
        "https://host:x/v1",
        "https://ho st/v1",
        "https://host/a b",
        "https://host/\r\nX: y",
        "https://host\t.example/v1",
        "https://host/../v1",
        "https://hôst/v1",
        "https://[::1/v1",
        "https://host/v1/chat/completions",
        "https://host/v1\\x",
    ],
)
def test_what_is_no_base_url_is_refused_without_a_credential_in_the_message(base_url: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        split_base_url(base_url, "providers.x.base_url")
    assert caught.value.message.startswith("providers.x.base_url: ")
    assert "secret" not in caught.value.message


@given(st.text(max_size=60))
def test_no_text_makes_an_origin_that_could_break_a_request(text: str) -> None:
    for base_url in (text, f"https://{text}", f"https://host/{text}"):
        try:
            origin, path = split_base_url(base_url, "x")
        except SettingsInvalid:
            continue
        assert origin.host
        assert not set(origin.host) & set(" \r\n\t/@?#\\")
        assert 1 <= origin.port <= 65535
        assert not set(path) & set(b" \r\n\t?#\\")


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://sts.example/x", True),
        ("http://127.0.0.1:8000/token", True),
        ("http://localhost/token", True),
        ("http://[::1]/token", True),
        ("http://10.0.0.5/token", False),
        ("http://127.0.0.1.example/token", False),
        ("http://sts.example/token", False),
    ],
)
def test_a_secret_goes_over_http_to_this_machine_alone(url: str, taken: bool) -> None:
    if taken:
        origin, _ = split_token_url(url, "x")
        assert origin.scheme == "https" or is_loopback(origin)
    else:
        with pytest.raises(SettingsInvalid, match=r"^x: .*https://"):
            split_token_url(url, "x")
