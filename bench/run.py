"""`make bench`: one gateway process on one core, the mock upstream and the load on the other.

    python -m bench.run [--seconds 6] [--gate] [--only small,streams] [--write docs/performance.md]

CPU microseconds a call (the process tree's own time, so other work on the machine hardly shows) and memory are the
figures that count; throughput and latency stand beside them. `--gate` exits 1 when a gated figure is missed.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import floor, load, process
from bench.report import BARE_BIG_US, BARE_SMALL_US, Figures, failures, markdown, replaced

CONFIG = """
[server]
port = {port}
[discovery]
local = false
[log]
level = "warning"
[providers.mock]
kind = "openai"
base_url = "http://127.0.0.1:{upstream}/v1"
api_key = "sk-upstream-bench"
[prices."mock/gpt-4o-mini"]
input = 0.15
output = 0.6
[models."gpt-4o-mini"]
deployments = ["mock/gpt-4o-mini"]
[providers.mock-messages]
kind = "anthropic"
base_url = "http://127.0.0.1:{upstream}/v1"
api_key = "sk-upstream-bench"
[models."crossing"]
deployments = ["mock-messages/claude-sonnet-4-5"]
"""


@dataclass
class Bench:
    port: int
    folder: Path
    gateway: subprocess.Popen[bytes]
    headers: Path
    budget_headers: Path
    bodies: dict[str, Path]
    seconds: int
    load_core: int
    gateway_core: int
    figures: Figures = field(default_factory=dict)

    @property
    def pids(self) -> list[int]:
        return process.tree(self.gateway.pid)

    def whole(self, name: str, body: str, connections: int, headers: Path | None = None) -> None:
        pids = self.pids
        before = process.cpu_us(pids)
        seen = load.closed_loop(
            self.port, connections=connections, seconds=self.seconds, body=self.bodies[body],
            headers=headers or self.headers, core=self.load_core,
        )  # fmt: skip
        if any(seen["errors"].values()):
            raise SystemExit(f"{name}: {seen['errors']}")
        count = max(1, seen["requests"])
        self.figures[f"{name}_cpu_us"] = round((process.cpu_us(pids) - before) / count, 1)
        self.figures[f"{name}_rps"] = round(count * 1e6 / seen["duration_us"])
        self.figures[f"{name}_p50_us"] = seen["lat_us"]["p50"]
        self.figures[f"{name}_p99_us"] = seen["lat_us"]["p99"]
        self.say(name)

    def streams(self, name: str, body: str, *, connections: int, most: int) -> None:
        pids = self.pids
        idle_mb = process.rss_mb(pids)
        before, peak = process.cpu_us(pids), process.PeakRss(pids)
        seen = load.streams(
            self.port, connections=connections, seconds=60 if most else self.seconds, most=most,
            body=self.bodies[body], headers=self.headers, core=self.load_core,
        )  # fmt: skip
        self.figures[f"{name}_rss_growth_mb"] = round(peak.end() - idle_mb, 1)
        self.figures[f"{name}_cpu_us_per_chunk"] = round((process.cpu_us(pids) - before) / max(1, seen["events"]), 2)
        self.figures[f"{name}_failed"] = seen["bad"] + seen["unfinished"] + seen["conn_errors"] + seen["without_done"]
        self.figures[f"{name}_ttfb_p50_ms"] = seen["ttfb_ms"]["p50"]
        self.figures[f"{name}_ttfb_p99_ms"] = seen["ttfb_ms"]["p99"]
        self.figures[f"{name}_elapsed_s"] = seen["elapsed_s"]
        self.say(name)

    def say(self, name: str) -> None:
        told = {
            key.removeprefix(name + "_"): value for key, value in self.figures.items() if key.startswith(name + "_")
        }
        print(name, told, flush=True)


def measure_bare(bench: Bench, upstream: int) -> None:
    """How slow the machine is today, by the yardstick in this very minute, on the gateway's core."""
    port, headers = free_port(), bench.folder / "bare-headers"
    headers.write_text("Authorization: Bearer sk-bench-0001\n")
    command = [
        "taskset", "-c", str(bench.gateway_core), sys.executable, "-m", "uvicorn", "bench.bare:app",
        "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--lifespan", "off", "--no-access-log",
        "--log-level", "error",
    ]  # fmt: skip
    bare = subprocess.Popen(command, env={**os.environ, "BENCH_UPSTREAM": str(upstream)})
    try:
        wait_until_listening(port)
        for body, reference_us in (("small", BARE_SMALL_US), ("big", BARE_BIG_US)):
            pids = process.tree(bare.pid)
            cost_us = []
            for _ in range(3):
                before = process.cpu_us(pids)
                seen = load.closed_loop(
                    port, connections=16, seconds=1, body=bench.bodies[body], headers=headers, core=bench.load_core
                )
                cost_us.append((process.cpu_us(pids) - before) / max(1, seen["requests"]))
            bench.figures[f"bare_{body}_cpu_us"] = round(sorted(cost_us)[1], 1)
            bench.figures[f"slower_{body}"] = round(sorted(cost_us)[1] / reference_us, 3)
    finally:
        bare.terminate()
        bare.wait(20)
    bench.say("bare")


def wait_until_listening(port: int) -> None:
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit("the yardstick does not listen")


def measure_floor(bench: Bench, upstream: int) -> None:
    """One connection's latency with nginx in our place; what we add is counted from there."""
    if not floor.is_there():
        print("no nginx here, so no added latency: apt-get install nginx-light")
        return
    port = free_port()
    with floor.nginx(bench.folder, port, upstream, bench.gateway_core):
        wait_until_listening(port)
        seen = load.closed_loop(
            port, connections=1, seconds=2, body=bench.bodies["small"], headers=bench.headers, core=bench.load_core
        )
    bench.figures["nginx_c1_p50_us"] = seen["lat_us"]["p50"]
    bench.figures["added_p50_us"] = round(bench.figures["small_c1_p50_us"] - seen["lat_us"]["p50"])
    bench.say("nginx")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(port: int, started: float, gateway: subprocess.Popen[bytes]) -> float:
    """Seconds from the process's start until /readyz says 200."""
    while time.monotonic() - started < 30:
        if gateway.poll() is not None:
            raise SystemExit("the gateway ended before it was ready")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
                link.sendall(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                if link.recv(64).startswith(b"HTTP/1.1 200"):
                    return time.monotonic() - started
        except OSError:
            pass
        time.sleep(0.005)
    raise SystemExit("the gateway was not ready after 30 s")


def measure_slow(bench: Bench, upstream: int) -> None:
    """What is added to an answer that takes its provider 50 ms."""
    direct = load.closed_loop(
        upstream, connections=16, seconds=2, body=bench.bodies["slow"], headers=bench.headers, core=bench.load_core
    )
    bench.whole("slow_c16", "slow", 16)
    bench.figures["slow_added_p50_us"] = round(bench.figures["slow_c16_p50_us"] - direct["lat_us"]["p50"])


def write_key(folder: Path, name: str, where: list[str], *options: str) -> Path:
    """A headers file with a new key."""
    trunkline = str(Path(sys.executable).parent / "trunkline")
    key = subprocess.run(
        [trunkline, "keys", "create", "--name", name, *options, *where], check=True, capture_output=True, text=True
    ).stdout.strip()
    headers = folder / f"{name}-headers"
    headers.write_text(f"Authorization: Bearer {key}\n")
    return headers


def start_gateway(
    folder: Path, port: int, upstream: int, core: int
) -> tuple[subprocess.Popen[bytes], list[str], float]:
    """The process, how commands find its data, and the seconds to ready of a second, ordinary start."""
    config = folder / "trunkline.toml"
    config.write_text(CONFIG.format(port=port, upstream=upstream))
    trunkline = str(Path(sys.executable).parent / "trunkline")
    where = ["--config", str(config), "--data-dir", str(folder / "data")]
    write_key(folder, "first", where)
    started = time.monotonic()
    gateway = subprocess.Popen(["taskset", "-c", str(core), trunkline, "serve", *where], stdout=subprocess.DEVNULL)
    return gateway, where, wait_until_ready(port, started, gateway)


def measure(bench: Bench, upstream: int, wanted: Callable[[str], bool]) -> None:
    measure_bare(bench, upstream)
    bench.whole("warmup", "small", 16)
    if wanted("small"):
        for connections in (1, 16, 64):
            bench.whole(f"small_c{connections}", "small", connections)
        measure_floor(bench, upstream)
    if wanted("budget"):
        bench.whole("budget_c16", "small", 16, bench.budget_headers)
        measure_slow(bench, upstream)
    if wanted("big"):
        bench.whole("big_c16", "big", 16)
    if wanted("streams"):
        bench.streams("burst_c16", "stream0", connections=16, most=0)
        bench.streams("thousand_100ms", "stream100", connections=1000, most=1000)
        bench.streams("thousand_10ms", "stream10", connections=1000, most=1000)
    if wanted("crossing"):
        # The rooms of both protocols are entered by the first call.
        bench.whole("warmup_crossing", "crossing_small", 16)
        bench.whole("crossing_c16", "crossing_small", 16)
        bench.streams("crossing_burst_c16", "crossing_stream0", connections=16, most=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--gate", action="store_true", help="exit 1 when a gated figure is missed")
    parser.add_argument("--only", default="small,budget,big,streams,crossing")
    parser.add_argument("--write", type=Path, help="put the figures between the marks of this Markdown file")
    asked = parser.parse_args()
    load.compile_tools()
    gateway_core, load_core = (0, 1) if (os.cpu_count() or 1) > 1 else (0, 0)
    port, upstream = free_port(), free_port()
    mock = load.start_mock(upstream, load_core)
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as name:
        folder = Path(name)
        gateway, where, ready_s = start_gateway(folder, port, upstream, gateway_core)
        try:
            bodies = load.write_bodies(folder / "bodies", "gpt-4o-mini")
            crossing = load.write_bodies(folder / "crossing", "crossing")
            bodies |= {f"crossing_{name}": path for name, path in crossing.items()}
            headers = write_key(folder, "bench", where)
            budget = write_key(folder, "budget", where, "--budget-usd", "100000")
            bench = Bench(port, folder, gateway, headers, budget, bodies, asked.seconds, load_core, gateway_core)
            bench.figures["ready_s"] = round(ready_s, 2)
            bench.figures["idle_rss_mb"] = process.rss_mb(bench.pids)
            measure(bench, upstream, lambda part: part in asked.only.split(","))
        finally:
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(60)
            mock.kill()
            mock.wait()
    print(markdown(bench.figures))
    if asked.write:
        asked.write.write_text(replaced(asked.write.read_text(), markdown(bench.figures)))
    missed = failures(bench.figures)
    for line in missed:
        print("missed:", line)
    return 1 if asked.gate and missed else 0


if __name__ == "__main__":
    sys.exit(main())
