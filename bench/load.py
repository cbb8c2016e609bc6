"""The load side of the bench: request bodies, the compiled mock upstream, and the generators, all on the load core."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
PATH = "/v1/chat/completions"
SYSTEM = {"role": "system", "content": "You are a concise assistant."}
QUESTION = "Explain in two sentences what an LLM gateway does, and why a team would put one in front of its providers."
WORDS = 'the quick brown fox jumps over the lazy dog and then "quotes" a line,\nwhile café stays warm. '


def compile_tools() -> None:
    """The mock upstream and the stream reader, from the C files beside this one."""
    BUILD.mkdir(exist_ok=True)
    for name in ("mock", "sseload"):
        source, target = HERE / f"{name}.c", BUILD / name
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-O2", "-w", "-o", str(target), str(source)], check=True)
    if shutil.which("wrk") is None:
        raise SystemExit("the bench needs wrk: apt-get install wrk")


def write_bodies(folder: Path, model: str) -> dict[str, Path]:
    """`small` 279 bytes or so, `slow` the same for an answer that takes 50 ms, `big` over 100 KB, `stream0/10/100` with
    that many ms between chunks."""
    asked: dict[str, Any] = {
        "small": {
            "model": model,
            "messages": [SYSTEM, {"role": "user", "content": QUESTION}],
            "temperature": 0.7,
            "max_tokens": 256,
        },
        "big": {
            "model": model,
            "messages": [SYSTEM, {"role": "user", "content": (WORDS * 1200)[:100_000]}],
            "temperature": 0.7,
            "max_tokens": 256,
        },
    }
    waiting = [SYSTEM, {"role": "user", "content": f"{QUESTION} [[delay=50]]"}]
    asked["slow"] = {**asked["small"], "messages": waiting}
    for delay_ms in (0, 10, 100):
        mark = f"[[delay={delay_ms}]]" if delay_ms else ""
        messages = [SYSTEM, {"role": "user", "content": f"Count slowly. {mark}"}]
        asked[f"stream{delay_ms}"] = {"model": model, "messages": messages, "stream": True, "max_tokens": 256}
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, body in asked.items():
        paths[name] = folder / f"{name}.json"
        paths[name].write_bytes(msgspec.json.encode(body))
    return paths


def start_mock(port: int, core: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["taskset", "-c", str(core), str(BUILD / "mock"), str(port)])


def closed_loop(port: int, *, connections: int, seconds: int, body: Path, headers: Path, core: int) -> dict[str, Any]:
    """Whole answers by wrk: requests, duration_us, errors, lat_us."""
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "20s",
        "--latency",
        "-s",
        str(HERE / "post.lua"),
        f"http://127.0.0.1:{port}{PATH}",
    ]
    return _run(command, core, {"BODY": str(body), "HEADERS": str(headers)})


def streams(
    port: int, *, connections: int, seconds: int, most: int, body: Path, headers: Path, core: int
) -> dict[str, Any]:
    """Streams by sseload: ok, bad, events, ttfb_ms, total_ms. `most` streams are started, 0 means as many as fit."""
    command = [
        str(BUILD / "sseload"),
        str(port),
        PATH,
        str(connections),
        str(seconds),
        str(most),
        str(headers),
        str(body),
    ]
    return _run(command, core, {})


def _run(command: list[str], core: int, extra: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        ["taskset", "-c", str(core), *command], capture_output=True, text=True, check=False, env={**os.environ, **extra}
    )
    for line in done.stdout.splitlines():
        text = line.removeprefix("JSON ")
        if text.startswith("{"):
            found: dict[str, Any] = msgspec.json.decode(text)
            return found
    raise SystemExit(f"{command[0]} printed no figures: {(done.stdout + done.stderr)[-300:]}")
