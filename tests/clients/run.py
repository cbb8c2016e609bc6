"""Each coding client does a task of three steps through a gateway, led by a model in each of three protocols.

`python -m tests.clients.run [FILE]`: prints a line a run, writes the figures to FILE, and fails when a task went wrong.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.acceptance.asking import metrics
from tests.acceptance.conftest import Gateway, serving
from tests.acceptance.scripted import providing
from tests.clients.coding import CLIENTS, INPUT, PLATFORM, Client
from tests.clients.leader import SPEAKERS, Task

LAST_WORDS = "The file has 3 words."
PATIENCE_S = 120
# Rows of the registry that speak the leader's protocol and no other that a client of ours does; Google's own answers
# Chat Completions too, so that callers of that protocol do not cross to it.
KINDS = {"chat": "mlx", "messages": "anthropic", "gemini": "google"}


@dataclass(frozen=True)
class Figures:
    client: str
    version: str
    caller: str
    provider: str
    seconds: float
    requests: int
    input_tokens: int
    output_tokens: int
    wrong: list[str]


def pairs() -> list[tuple[Client, str]]:
    return [
        (client, protocol)
        for client in CLIENTS
        for protocol in KINDS
        if (client.speaks, protocol) != ("Chat Completions", "gemini")
    ]


def run(client: Client, protocol: str, folder: Path) -> Figures:
    work, home = folder / "work", folder / "home"
    for one in (work, home, folder / "gateway"):
        one.mkdir()
    (work / "input.txt").write_text(INPUT)
    task = Task(client.steps(work), LAST_WORDS)
    with providing() as provider:
        provider.scripts["leader"] = lambda exchange: SPEAKERS[protocol](exchange, task)
        settings = f'[providers.lead]\nkind = "{KINDS[protocol]}"\nbase_url = "{provider.url}"\napi_key = "k"\n'
        with serving(folder / "gateway", settings) as gateway:
            began = time.monotonic()
            said = started(client, gateway, home, work)
            seconds = time.monotonic() - began
            counted = tokens(gateway)
    return Figures(
        client=client.name,
        version=client.version,
        caller=client.speaks,
        provider=protocol,
        seconds=round(seconds, 1),
        requests=len(provider.seen),
        input_tokens=counted.get("input", 0),
        output_tokens=counted.get("output", 0),
        wrong=[*task.wrong, *judged(task, said, work)],
    )


def started(client: Client, gateway: Gateway, home: Path, work: Path) -> str:
    start = client.start(gateway, home, "lead/leader")
    try:
        done = subprocess.run(
            start.command,
            cwd=work,
            env=start.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return f"not done in {PATIENCE_S} s: {late.stdout!r}"
    return done.stdout if done.returncode == 0 else f"ended with {done.returncode}: {done.stdout}{done.stderr}"


def judged(task: Task, said: str, work: Path) -> list[str]:
    wrong = []
    if LAST_WORDS not in said:
        wrong.append(f"it did not say the last words: {said[-1000:]}")
    if len(task.seen) != len(task.steps):
        wrong.append(f"{len(task.seen)} of {len(task.steps)} steps were done")
    written = work / "count.txt"
    if not written.exists() or written.read_text().strip() != "3":
        wrong.append("count.txt is not as it should be")
    return wrong


def tokens(gateway: Gateway) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in metrics(gateway.url).items():
        if kind := re.fullmatch(r'trunkline_tokens_total\{kind="(\w+)",.*\}', name):
            found[kind[1]] = found.get(kind[1], 0) + int(value)
    return found


def main(file: str | None) -> int:
    if f"{platform.system()}-{platform.machine()}" != "Linux-x86_64":
        print(f"The clients' programs here are for {PLATFORM}.", file=sys.stderr)
        return 1
    all_figures = []
    for client, protocol in pairs():
        with tempfile.TemporaryDirectory() as folder:
            figures = run(client, protocol, Path(folder))
        all_figures.append(figures)
        print(
            f"{figures.client} {figures.version}, {figures.caller} to {figures.provider}: {figures.seconds} s, "
            f"{figures.requests} requests, {figures.input_tokens} + {figures.output_tokens} tokens: "
            + ("; ".join(figures.wrong) or "done")
        )
    if file is not None:
        Path(file).write_text(json.dumps([asdict(one) for one in all_figures], indent=2) + "\n")
    return 1 if any(one.wrong for one in all_figures) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else None))
