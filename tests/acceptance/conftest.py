"""A real gateway in a process of its own, and a real engine behind it when its environment is there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".envs"
TRUNKLINE = str(Path(sys.executable).parent / "trunkline")
PROGRAMS = Path(__file__).resolve().parent / "programs"
START_S = 30


@dataclass(frozen=True)
class Gateway:
    """`url` has no `/v1`; `key` is a plain key, `admin_key` an admin's. `where` are the options that every command
    takes to act on it, `log` holds what it writes."""

    url: str
    key: str = field(repr=False)
    admin_key: str = field(repr=False)
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def where(self) -> list[str]:
        return options_of(self.folder)

    @property
    def log(self) -> Path:
        return self.folder / "gateway.log"

    @property
    def settings(self) -> Path:
        return self.folder / "trunkline.toml"

    def command(self, *words: str, stdin: str | None = None) -> str:
        """What a command prints; it must succeed."""
        return commanded(*words, *self.where, stdin=stdin)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "TRUNKLINE_URL": self.url,
            "TRUNKLINE_KEY": self.key,
            "TRUNKLINE_ADMIN_KEY": self.admin_key,
        }


@dataclass(frozen=True)
class Engine:
    """A model engine that answers at `url` (with `/v1`)."""

    url: str
    model: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_python(name: str) -> str:
    """The interpreter of `.envs/NAME`, which `make test` makes; the test is skipped aloud without it."""
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"needs the environment {name}: make .envs/{name}/ready")
    return str(python)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until `url` answers 200."""
    for _ in range(START_S * 20):
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} ended with {process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            Event().wait(0.05)
    pytest.fail(f"{url} did not answer in {START_S} s")


def options_of(folder: Path) -> list[str]:
    return ["--config", str(folder / "trunkline.toml"), "--data-dir", str(folder / "data")]


def commanded(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run([TRUNKLINE, *words], input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def running(
    command: list[str], ready_url: str, log: Path, extra: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **(extra or {})})
    try:
        wait_for(ready_url, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def serving(folder: Path, settings: str = "", server: str = "") -> Iterator[Gateway]:
    """A gateway with these settings (TOML; `server` are further lines of that section), its data in `folder`,
    listening on a free port."""
    port = free_port()
    (folder / "trunkline.toml").write_text(f"[server]\nport = {port}\n{server}\n[discovery]\nlocal = false\n{settings}")
    where = options_of(folder)
    key = commanded("keys", "create", "--name", "test", *where)
    admin_key = commanded("keys", "create", "--name", "admin", "--admin", *where)
    url = f"http://127.0.0.1:{port}"
    with running([TRUNKLINE, "serve", *where], f"{url}/readyz", folder / "gateway.log") as process:
        yield Gateway(url, key, admin_key, folder, process)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway as it comes: sandbox models and nothing else."""
    with serving(tmp_path_factory.mktemp("gateway")) as found:
        yield found


@pytest.fixture(scope="session")
def start_gateway() -> Callable[..., object]:
    return serving


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """`mlx_lm server` on a model written by programs/tiny_model.py."""
    python = environment_python("engine")
    folder = tmp_path_factory.mktemp("engine")
    subprocess.run([python, str(PROGRAMS / "tiny_model.py"), str(folder / "model")], check=True, timeout=60)
    port = free_port()
    command = [
        python,
        "-m",
        "mlx_lm",
        "server",
        "--model",
        str(folder / "model"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    offline = {"HF_HUB_OFFLINE": "1", "HOME": str(folder)}
    with running(command, f"http://127.0.0.1:{port}/v1/models", folder / "engine.log", offline):
        yield Engine(f"http://127.0.0.1:{port}/v1", "default_model")


@pytest.fixture(scope="session")
def engine_gateway(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in front of the engine: `office/default_model`, alias `tiny`."""
    settings = (
        f'[providers.office]\nkind = "mlx"\nbase_url = "{engine.url}"\n'
        f'[models."tiny"]\ndeployments = ["office/{engine.model}"]\n'
    )
    with serving(tmp_path_factory.mktemp("engine-gateway"), settings) as found:
        yield found


@pytest.fixture(scope="session")
def node() -> str:
    """A JavaScript runtime with the npm clients beside it."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs node 20 or newer: apt-get install nodejs npm")
    if not (ENVIRONMENTS / "node" / "ready").exists():
        pytest.skip("needs the npm clients: make .envs/node/ready")
    return found
