"""What the gateway answers and what it says it answers are the same, in the document and in the pages about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.house import tree
from tests.house.snippets import snippets_of
from tests.http.browser import ask
from trunkline import config
from trunkline.app.application import App
from trunkline.cli.program import COMMANDS
from trunkline.http.server import Serving

# HEAD is the answer to GET without its body, and the root answers nothing else. Google's methods are described once,
# under one of the versions that its clients ask for.
UNDESCRIBED = {("HEAD", "/"), ("POST", "/v1/models/{id}"), ("POST", "/v1alpha/models/{id}")}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(config.load(data_dir=tmp_path, environment={}), Serving())
    yield made
    made.store.close()


async def document(app: App) -> dict[str, Any]:
    page = await ask(app.door, "GET", "/openapi.json")
    found: dict[str, Any] = msgspec.json.decode(page.body)
    return found


async def test_every_route_is_described(app: App) -> None:
    described = await document(app)
    missing = {
        (method, path)
        for method, path in app.door.paths() - UNDESCRIBED
        if ("get" if method == "HEAD" else method.lower()) not in described["paths"].get(path, {})
    }
    assert not missing


async def test_every_described_route_is_there(app: App) -> None:
    """Without a key each is either public or 401; with none is it 404 or 405."""
    described = await document(app)
    for path, item in described["paths"].items():
        for method, operation in item.items():
            page = await ask(app.door, method.upper(), path.replace("{id}", "sandbox/echo"))
            public = operation.get("security") == [] or path == "/metrics"
            assert page.status in ((200, 503) if public else (401,)), f"{method} {path}"


def test_commands_in_the_documents_exist() -> None:
    wrong = []
    for path in tree.files(".md"):
        for command in re.findall(r"`trunkline ([a-z][a-z-]*)", tree.read(path)):
            if command not in COMMANDS:
                wrong.append(f"{path}: trunkline {command}")
        for snippet in snippets_of(path):
            if snippet.language == "bash":
                named = re.findall(r"(?:^|[$(|] ?)trunkline ([a-z][a-z-]*)", snippet.text, re.MULTILINE)
                wrong += [f"{snippet}: trunkline {command}" for command in named if command not in COMMANDS]
    assert not wrong


def test_settings_in_the_documents_exist(tmp_path: Path) -> None:
    for path in tree.files(".md"):
        for snippet in snippets_of(path):
            if snippet.language == "toml":
                file = tmp_path / "trunkline.toml"
                file.write_text(snippet.text, encoding="utf-8")
                config.load(file, tmp_path, environment={"DEEPSEEK_API_KEY": "x" * 20})
