"""How much a large installation costs: the same gateway with an empty database and with a full one, side by side.

    python -m bench.scale [--keys 100000] [--rows 10000000] [--rounds 5] [--seconds 3] [--folder DIR]

The full one has that many keys of 1,000 accounts, a tenth of them with a budget, and that many rows in its ledger,
spread over 30 days. It needs 1 KB of disk a row in a folder of its own, which is removed at the end, and 10 minutes.

What is said: seconds from start to ready (with and without the file in memory, and after a crash that left entries
open all over the ledger), milliseconds of the pages of usage, and CPU microseconds a call at 16 connections, measured
by turns with both, so that what else the machine does meets both alike. It is run by hand; nothing fails by it.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine

from bench import load, process
from bench.run import CONFIG, free_port, wait_until_ready, write_key
from tests.storage.large import Shape, fill
from trunkline.ids import ENTRY_OPENED, entry_id, first_number
from trunkline.storage import rollups
from trunkline.storage.entries import COLUMNS

DAYS, ACCOUNTS, BUDGETS = 30, 1000, 10
DAY_S = 86_400
SUMMED_AT_ONCE = 200_000
LEFT_OPEN, DEAD_SLOT = 500, 7
ASKS = 7
MODEL = "gpt-4o-mini"


@dataclass
class House:
    """One data directory, and where its gateway listens."""

    folder: Path
    port: int
    core: int
    gateway: subprocess.Popen[bytes] | None = None

    @property
    def where(self) -> list[str]:
        return ["--config", str(self.folder / "trunkline.toml"), "--data-dir", str(self.folder / "data")]

    @property
    def database(self) -> Path:
        return self.folder / "data" / "trunkline.db"

    @property
    def headers(self) -> dict[str, Path]:
        return {name: self.folder / f"{name}-headers" for name in ("plain", "budget", "admin")}

    def make(self, upstream: int) -> None:
        self.folder.mkdir()
        settings = CONFIG.replace('level = "warning"', 'level = "info"')  # it says what was recovered
        (self.folder / "trunkline.toml").write_text(settings.format(port=self.port, upstream=upstream))
        write_key(self.folder, "plain", self.where)
        write_key(self.folder, "budget", self.where, "--budget-usd", "100000")
        write_key(self.folder, "admin", self.where, "--admin")

    def start(self) -> float:
        """Seconds to ready."""
        trunkline = str(Path(sys.executable).parent / "trunkline")
        with (self.folder / "log").open("ab") as log:
            started = time.monotonic()
            command = ["taskset", "-c", str(self.core), trunkline, "serve", *self.where]
            self.gateway = subprocess.Popen(command, stdout=log, stderr=log)
        return wait_until_ready(self.port, started, self.gateway)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.gateway is not None:
            self.gateway.send_signal(number)
            self.gateway.wait(60)
            self.gateway = None

    def cpu_us(self, name: str, body: Path, seconds: int, load_core: int) -> float:
        """Of one call, by that key."""
        assert self.gateway is not None, "it runs"
        pids = process.tree(self.gateway.pid)
        before = process.cpu_us(pids)
        seen = load.closed_loop(
            self.port, connections=16, seconds=seconds, body=body, headers=self.headers[name], core=load_core
        )
        if any(seen["errors"].values()):
            raise SystemExit(f"{self.folder.name}, {name}: {seen['errors']}")
        return (process.cpu_us(pids) - before) / max(1, int(seen["requests"]))


@contextmanager
def raw(database: Path) -> Iterator[Connection]:
    """A transaction that nobody could roll back, for a database that nobody uses: as fast as can be."""
    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.connect() as connection:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
            connection.commit()
            with connection.begin():
                yield connection
    finally:
        engine.dispose()


def add_keys(connection: Connection, count: int) -> None:
    now = time.time()
    numbers = f"WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count})"
    account, key = f"printf('acct_%016d', n % {ACCOUNTS})", "printf('key_%018d', n)"
    secret = f"{account}, {key}, printf('%012d', n), randomblob(32), 'abcd', {now}"
    budget = f"{account}, printf('bdg_%016d', n), 'key', {key}, 'month', 'UTC', 100000000000, '[]', {now}"
    for table, columns, values, which in (
        ("accounts", "account_id, parent_id, name, created_at", f"{account}, 'acct_root', n, {now}", f"n < {ACCOUNTS}"),
        ("keys", "account_id, key_id, name, admin, manage, models, created_at",
         f"{account}, {key}, n, 0, 0, '[]', {now}", "true"),
        ("key_secrets", "account_id, key_id, public_id, digest, last4, created_at", secret, "true"),
        ("budgets", "account_id, budget_id, kind, subject, period, zone, limit_nanos, alerts, created_at", budget,
         f"n % {BUDGETS} = 0"),
    ):  # fmt: skip
        connection.exec_driver_sql(
            f"INSERT INTO {table} ({columns}) {numbers} SELECT {values} FROM numbers WHERE {which}"
        )


def leave_open(connection: Connection, first_ms: int) -> None:
    """What a process leaves behind that died with a call of a month ago under way."""
    connection.exec_driver_sql(
        "INSERT INTO holders (slot, pid, state, started_at, expires_at, oldest_number) VALUES (?, 1, 'live', ?, ?, ?)",
        (DEAD_SLOT, first_ms / 1000, time.time(), first_number(first_ms)),
    )
    step_ms = DAYS * DAY_S * 1000 // LEFT_OPEN
    texts = {"state": "open", "account_id": "acct_root", "key_id": "key_0", "model": "m", "provider": "p"}
    texts |= {"protocol": "openai_chat", "endpoint": "chat", "price_version": "1"}
    optional = {"tag", "end_user", "service_tier", "settled_at_ms", "pots", "leases"}
    for at in range(LEFT_OPEN):
        at_ms = first_ms + at * step_ms
        row = {"entry_id": entry_id(first_number(at_ms) | DEAD_SLOT << 8, 1, ENTRY_OPENED), "opened_at_ms": at_ms}
        values = [row.get(name, texts.get(name, None if name in optional else 0)) for name in COLUMNS]
        connection.exec_driver_sql(f"INSERT INTO ledger VALUES ({', '.join('?' * len(COLUMNS))})", tuple(values))


def fill_up(house: House, keys: int, rows: int) -> int:
    """Returns the moment of the first row, in milliseconds."""
    first_ms = int(time.time() * 1000) - DAYS * DAY_S * 1000
    began = time.monotonic()
    with raw(house.database) as connection:
        add_keys(connection, keys)
        fill(connection, rows, Shape(first_ms=first_ms, days=DAYS, keys=keys, accounts=ACCOUNTS))
    say("rows made", f"{time.monotonic() - began:.0f} s")
    began, more = time.monotonic(), True
    while more:
        with raw(house.database) as connection:
            more = rollups.advance(connection, int(time.time() * 1000), SUMMED_AT_ONCE)
    say("summed", f"{time.monotonic() - began:.0f} s, {house.database.stat().st_size / 1e9:.2f} GB")
    return first_ms


def forget(file: Path) -> None:
    """The kernel keeps nothing of it in memory."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def pages() -> dict[str, str]:
    start = (int(time.time()) // DAY_S - DAYS) * DAY_S
    organization = f"/v1/organization/usage/completions?start_time={start}&bucket_width=1d&limit=31"
    return {
        "usage of 30 days": "/v1/usage?window=30d",
        "usage of a day": "/v1/usage?window=24h",
        "usage by tag": "/v1/usage/by-tag",
        "usage by account": "/v1/usage/by-sub-account",
        "completions by model and day": f"{organization}&group_by=model",
        "completions by project and day": f"{organization}&group_by=project_id",
        "completions of one key by day": f"{organization}&api_key_ids=key_{0:018d}",
        "costs by day": f"/v1/organization/costs?start_time={start}&limit=31",
        "costs by line item and day": f"/v1/organization/costs?start_time={start}&limit=31&group_by=line_item",
    }


def measure_pages(house: House) -> None:
    authorization = house.headers["admin"].read_text().strip().partition(": ")[2]
    link = http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)
    for name, path in pages().items():
        took_ms, length = [], 0
        for _ in range(ASKS):
            began = time.monotonic()
            link.request("GET", path, headers={"Authorization": authorization})
            answer = link.getresponse()
            length = len(answer.read())
            took_ms.append((time.monotonic() - began) * 1000)
            if answer.status != 200:
                raise SystemExit(f"{path}: {answer.status}")
        say(name, f"{statistics.median(took_ms):.0f} ms, the slowest {max(took_ms):.0f} ms ({length:,} bytes)")
    link.close()


def measure_starts(house: House, first_ms: int) -> None:
    forget(house.database)
    say("ready, nothing in memory", f"{house.start():.2f} s")
    house.stop()
    say("ready", f"{house.start():.2f} s")
    assert house.gateway is not None, "it runs"
    say("memory", f"{process.rss_mb(process.tree(house.gateway.pid))} MB")
    house.stop()
    with raw(house.database) as connection:
        leave_open(connection, first_ms)
    forget(house.database)
    say("ready after a crash, nothing in memory", f"{house.start():.2f} s")
    house.stop()
    recovered = [line for line in (house.folder / "log").read_text().splitlines() if f'"slot":{DEAD_SLOT}' in line]
    say("of that recovered", "; ".join(recovered))


def measure_calls(empty: House, full: House, body: Path, asked: argparse.Namespace, load_core: int) -> None:
    for name in ("plain", "budget"):
        ratios, costs = [], []
        for house in (empty, full):
            house.cpu_us(name, body, 1, load_core)
        for turn in range(asked.rounds):
            order = (empty, full) if turn % 2 == 0 else (full, empty)
            cost = {house.folder.name: house.cpu_us(name, body, asked.seconds, load_core) for house in order}
            costs.append((cost["empty"], cost["full"]))
            ratios.append(cost["full"] / cost["empty"])
        said = ", ".join(f"{one:.1f}/{other:.1f}" for one, other in costs)
        say(f"CPU us a call, {name} key", f"empty/full {said}; ratio {statistics.median(ratios):.3f}")


def say(what: str, told: str) -> None:
    print(f"{what}: {told}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where there is room; default: the system's for temporary files")
    asked = parser.parse_args()
    load.compile_tools()
    gateway_core, load_core = (0, 1) if (os.cpu_count() or 1) > 1 else (0, 0)
    upstream = free_port()
    mock = load.start_mock(upstream, load_core)
    with tempfile.TemporaryDirectory(prefix="trunkline-scale-", dir=asked.folder) as name:
        folder = Path(name)
        empty, full = (House(folder / at, free_port(), gateway_core) for at in ("empty", "full"))
        try:
            body = load.write_bodies(folder / "bodies", MODEL)["small"]
            for house in (empty, full):
                house.make(upstream)
            first_ms = fill_up(full, asked.keys, asked.rows)
            measure_starts(full, first_ms)
            say("ready, empty", f"{empty.start():.2f} s")
            full.start()
            measure_pages(full)
            measure_calls(empty, full, body, asked, load_core)
        finally:
            for house in (empty, full):
                house.stop()
            mock.kill()
            mock.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
