"""The coding clients: how each is started in a home of its own, and the steps it is led through with its own tools.

Nothing may leave the machine: telemetry, updates and lists of models are off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.conftest import ENVIRONMENTS, Gateway
from tests.clients.leader import Step

MODULES = ENVIRONMENTS / "cli" / "node_modules"
PLATFORM = "linux-x64"
PROMPT = "Count the words in input.txt, write the number into count.txt, and show that file."
INPUT = "three plain words\n"


@dataclass(frozen=True)
class Start:
    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Client:
    """`start` prepares its home; `steps` are its tools' names and arguments for a task in this folder."""

    name: str
    speaks: str
    package: str
    start: Callable[[Gateway, Path, str], Start]
    steps: Callable[[Path], list[Step]]

    @property
    def version(self) -> str:
        said = json.loads((MODULES / self.package / "package.json").read_text())
        return str(said["version"])


def _plain(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "NO_COLOR": "1", "LANG": "C.UTF-8"}


def _start_codex_on_a_socket(gateway: Gateway, home: Path, model: str) -> Start:
    """The same calls over one WebSocket."""
    start = _start_codex(gateway, home, model)
    with (home / ".codex" / "config.toml").open("a") as settings:
        settings.write("supports_websockets = true\n")
    return start


def _start_codex(gateway: Gateway, home: Path, model: str) -> Start:
    folder = home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f'model = "{model}"\nmodel_provider = "trunkline"\nmodel_reasoning_effort = "low"\n'
        'check_for_update_on_startup = false\n[analytics]\nenabled = false\n[otel]\nexporter = "none"\n'
        f'[model_providers.trunkline]\nname = "Trunkline"\nbase_url = "{gateway.url}/v1"\n'
        'env_key = "TRUNKLINE_KEY"\nwire_api = "responses"\n'
    )
    # The task is to run commands, and the folder it runs in is thrown away.
    free = "--dangerously-bypass-approvals-and-sandbox"
    command = [str(MODULES / ".bin" / "codex"), "exec", "--skip-git-repo-check", free, PROMPT]
    return Start(command, {**_plain(home), "CODEX_HOME": str(folder), "TRUNKLINE_KEY": gateway.key})


def _steps_of_codex(work: Path) -> list[Step]:
    return [
        Step("exec_command", {"cmd": "cat input.txt"}, "three plain words"),
        Step("exec_command", {"cmd": "wc -w < input.txt > count.txt && echo written"}, "written"),
        Step("exec_command", {"cmd": "cat count.txt"}, "3"),
    ]


def _start_claude(gateway: Gateway, home: Path, model: str) -> Start:
    command = [
        str(MODULES / "@anthropic-ai" / f"claude-code-{PLATFORM}" / "claude"),
        "--print", PROMPT, "--model", model, "--allowedTools", "Read,Write,Bash",
    ]  # fmt: skip
    quiet = ("DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING", "DISABLE_AUTOUPDATER")
    settings = dict.fromkeys((*quiet, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"), "1")
    here = {"ANTHROPIC_BASE_URL": gateway.url, "ANTHROPIC_API_KEY": gateway.key}
    return Start(command, {**_plain(home), **settings, **here})


def _steps_of_claude(work: Path) -> list[Step]:
    return [
        Step("Read", {"file_path": str(work / "input.txt")}, "three plain words"),
        Step("Write", {"file_path": str(work / "count.txt"), "content": "3\n"}, "count.txt"),
        Step("Bash", {"command": "cat count.txt", "description": "Shows the file"}, "3"),
    ]


def _start_opencode(gateway: Gateway, home: Path, model: str) -> Start:
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True)
    known = {model: {"name": model, "tool_call": True, "limit": {"context": 100_000, "output": 4_000}}}
    options = {"baseURL": f"{gateway.url}/v1", "apiKey": gateway.key}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "Trunkline", "options": options, "models": known}
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "permission": {"*": "allow"},
        "model": f"trunkline/{model}",
        "small_model": f"trunkline/{model}",
        "provider": {"trunkline": provider},
    }
    (folder / "opencode.json").write_text(json.dumps(settings))
    quiet = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "SHARE")
    environment = {**_plain(home), **{f"OPENCODE_DISABLE_{name}": "1" for name in quiet}}
    program = MODULES / f"opencode-{PLATFORM}" / "bin" / "opencode"
    return Start([str(program), "run", "--model", f"trunkline/{model}", PROMPT], environment)


def _steps_of_opencode(work: Path) -> list[Step]:
    return [
        Step("read", {"filePath": str(work / "input.txt")}, "three plain words"),
        Step("write", {"filePath": str(work / "count.txt"), "content": "3\n"}, ""),
        Step("bash", {"command": "cat count.txt", "description": "Shows the file"}, "3"),
    ]


CLIENTS = (
    Client("Codex", "Responses", "@openai/codex", _start_codex, _steps_of_codex),
    Client("Codex", "Responses (WebSocket)", "@openai/codex", _start_codex_on_a_socket, _steps_of_codex),
    Client("Claude Code", "Messages", "@anthropic-ai/claude-code", _start_claude, _steps_of_claude),
    Client("opencode", "Chat Completions", "opencode-ai", _start_opencode, _steps_of_opencode),
)
