"""A gateway with keys of every kind of money before a provider that counts: started, ended and started again."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.books import Books
from tests.acceptance.conftest import TRUNKLINE, commanded, free_port, options_of, wait_for
from tests.acceptance.metered import Till, metered
from tests.acceptance.spending import KINDS, Spenders, Told, ask, join

BUDGETS = {
    "free": [],
    "ample": ["--budget-usd", "5"],
    "scarce": ["--budget-usd", "0.003", "--budget-period", "day"],
    # Fifty calls of a cent, and fifty of what a short chat may cost, about.
    "fifty": ["--budget-usd", "0.5"],
    "fifty chats": ["--budget-usd", "0.006"],
    "two chats": ["--budget-usd", "0.0003"],
}
CREDIT_USD = {"prepaid": "0.01", "prepaid fifty": "0.5"}


class Shop:
    """Between `start` and `stop`, once or more often. `told` is what all callers were told over its lives."""

    def __init__(self, folder: Path, till: Till, *, workers: int = 1, settings: str = "") -> None:
        """`folder` is a test's own. Keys are made once for all tests."""
        stock = folder.parent / "stock"
        if not stock.exists():
            _fill(stock)
        shutil.copytree(stock, folder, dirs_exist_ok=True)
        keys = json.loads((folder / "keys.json").read_text())
        self.free, self.ample, self.scarce, self.prepaid = (
            str(keys[name]) for name in ("free", "ample", "scarce", "prepaid")
        )
        self.fifties = tuple(str(keys[name]) for name in ("fifty", "prepaid fifty", "fifty chats"))
        self.two_chats = str(keys["two chats"])
        self.folder = folder
        self.till = till
        self.told: list[Told] = []
        self.port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        server = f"[server]\nport = {self.port}\nworkers = {workers}\n[discovery]\nlocal = false\n"
        (folder / "trunkline.toml").write_text(server + settings + till.settings())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def capped(self) -> tuple[str, ...]:
        """Keys whose calls a budget or credit pays for."""
        return (self.ample, self.scarce, self.prepaid, self.two_chats, *self.fifties)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self._processes[-1]

    def start(self, port: int | None = None) -> str:
        """Returns its address, once it is ready. On a `port` of its own it runs beside the others."""
        at = port or self.port
        command = [TRUNKLINE, "serve", *options_of(self.folder), "--port", str(at)]
        with (self.folder / "gateway.log").open("ab") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        wait_for(f"http://127.0.0.1:{at}/readyz", self.process)
        return f"http://127.0.0.1:{at}"

    def stop(self) -> None:
        """Gently."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
                assert process.wait(20) == 0

    def kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    @contextmanager
    def spending(self, seed: int, url: str | None = None, keys: Sequence[str] = ()) -> Iterator[Spenders]:
        # Most calls with a key that is always good.
        every = (self.free, self.free, self.ample, self.ample, self.scarce, self.prepaid)
        with Spenders(url or self.url, keys or every, seed) as spenders:
            try:
                yield spenders
            finally:
                spenders.stop()
                self.told += spenders.told

    def ask(self, key: str, url: str | None = None) -> Told:
        return self.send(Told.new(key, KINDS[0]), url)

    def send(self, told: Told, url: str | None = None) -> Told:
        self.told.append(told)
        return ask(url or self.url, told)

    def books(self, *, over_nanos: int = 0) -> Books:
        """They agree with what callers and provider know."""
        books = Books.of(self.folder)
        books.check(over_nanos=over_nanos)
        join(self.told, self.till, books, self.capped)
        return books

    def books_at_rest(self, *, over_nanos: int = 0) -> Books:
        """The same of one that has stopped."""
        books = self.books(over_nanos=over_nanos)
        books.check_at_rest()
        return books


@contextmanager
def shop(folder: Path, *, workers: int = 1, settings: str = "") -> Iterator[Shop]:
    """One that is ready."""
    with metered() as till:
        made = Shop(folder, till, workers=workers, settings=settings)
        try:
            made.start()
            yield made
        finally:
            made.kill()


def _fill(stock: Path) -> None:
    """A data directory with keys, and their names in a file beside it."""
    stock.mkdir()
    (stock / "trunkline.toml").write_text("")
    where = options_of(stock)
    keys = {name: commanded("keys", "create", *options, *where) for name, options in BUDGETS.items()}
    for name, usd in CREDIT_USD.items():
        account = commanded("accounts", "create", "--name", name, *where)
        commanded("accounts", "credit", account, "--usd", usd, *where)
        keys[name] = commanded("keys", "create", "--account", account, *where)
    (stock / "keys.json").write_text(json.dumps(keys))
