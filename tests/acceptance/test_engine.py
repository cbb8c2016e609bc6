"""Trunkline in front of a real engine, called by the clients people use."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.conftest import ENVIRONMENTS, PROGRAMS, Engine, Gateway, environment_python

pytestmark = [pytest.mark.acceptance, pytest.mark.engine]

TEXT = "In the café a tiny engine answers"
TOOL = ["get_weather", {"location": "Paris"}, "tool_calls"]
LANGCHAIN_PASSES = 137


def run(command: list[str], gateway: Gateway) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=gateway.environment())
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check(found: dict[str, Any]) -> None:
    assert found["text"] == found["streamed_text"] == TEXT
    assert found["finish"] == found["streamed_finish"] == "stop"
    prompt, completion, total = found["usage"]
    assert completion == found["streamed_usage"] == 10
    assert total == prompt + completion
    assert found["tool"] == TOOL


@pytest.mark.parametrize(
    "python", [lambda: sys.executable, lambda: environment_python("previous")], ids=["openai-3", "openai-2"]
)
@pytest.mark.parametrize("model", ["tiny", "office/default_model", "Tiny"])
def test_the_python_library(engine_gateway: Gateway, python: Callable[[], str], model: str) -> None:
    found = run([python(), str(PROGRAMS / "chat_client.py"), model], engine_gateway)
    check(found)
    assert found["choices_everywhere"]
    assert found["counted_last"] == [0, 10]
    assert found["streamed_tool"] == TOOL


def test_the_npm_library(engine_gateway: Gateway, node: str) -> None:
    program = ENVIRONMENTS / "node" / "chat_client.mjs"
    shutil.copy(PROGRAMS / "chat_client.mjs", program)
    check(run([node, str(program), "tiny"], engine_gateway))


@pytest.mark.timeout(330)
def test_langchain_standard_tests(engine_gateway: Gateway) -> None:
    """LangChain's own standard class for chat models, through ChatOpenAI."""
    python = environment_python("langchain")
    # ChatOpenAI keeps one pool of connections for the process, so all its tests must share a loop.
    loops = [option for kind in ("test", "fixture") for option in ("-o", f"asyncio_default_{kind}_loop_scope=session")]
    command = [
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", "-o", "asyncio_mode=auto", *loops,
        "--benchmark-skip", "--rootdir", str(PROGRAMS), "-c", os.devnull, str(PROGRAMS / "langchain_suite.py"),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=engine_gateway.environment(),
        cwd=PROGRAMS,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= LANGCHAIN_PASSES, "a capability was switched off"


def test_curl(engine_gateway: Gateway, engine: Engine) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl: apt-get install curl")
    body = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True})
    command = [
        curl, "-sN", f"{engine_gateway.url}/v1/chat/completions", "-H", f"Authorization: Bearer {engine_gateway.key}",
        "-H", "Content-Type: application/json", "-d", body,
    ]  # fmt: skip
    output = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
    events = [line[6:] for line in output.split(b"\n") if line.startswith(b"data: ")]
    assert events[-1] == b"[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == TEXT
    roles = [chunk for chunk in chunks if "role" in chunk["choices"][0]["delta"]]
    assert len(roles) == 1, "the engine says the role in each chunk, its callers hear it once"
    assert chunks[-1]["usage"]["completion_tokens"] == 10


def test_the_engines_refusal_comes_in_our_envelope(engine_gateway: Gateway) -> None:
    """mlx_lm's `error` is a bare string."""
    from openai import BadRequestError, NotFoundError, OpenAI

    client = OpenAI(base_url=engine_gateway.url + "/v1", api_key=engine_gateway.key, max_retries=0)
    with pytest.raises((BadRequestError, NotFoundError)) as refused:
        client.chat.completions.create(model="office/no-such-model", messages=[{"role": "user", "content": "hi"}])
    assert isinstance(refused.value.body, dict)
    assert {"message", "type", "param", "code"} <= set(refused.value.body)
