"""Datagrams between the processes of one machine: who needs a budget's idle slices asks for them, and is told once they
are given back. Each process has a Unix socket named after its slot; what is lost is a question without an answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from trunkline import observe
from trunkline.errors import StoreUnavailable, TrunklineError
from trunkline.ids import SLOTS
from trunkline.ports.ledger import Fenced
from trunkline.ports.recall import Asked

LONGEST_PATH: Final = 100
"""Bytes; the kernel takes 107 (https://man7.org/linux/man-pages/man7/unix.7.html), macOS 103."""
LONGEST_DATAGRAM: Final = 1024
MOST_AT_ONCE: Final = 64
AGAIN_S: Final = 0.002
MOST_TRIES: Final = 250
"""The kernel keeps few datagrams for one who does not read them (10, or 512): so they are sent again, for half a second
(net.unix.max_dgram_qlen, https://docs.kernel.org/networking/ip-sysctl.html)."""

log = observe.logger("storage")


class _Question(msgspec.Struct, tag="ask", array_like=True):
    from_slot: int
    number: int
    source: str


class _Answer(msgspec.Struct, tag="answered", array_like=True):
    from_slot: int
    number: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Question | _Answer).decode


class Wakeups:
    """Fulfils ports.recall.Recall between the processes that share a database. Between `start` and `close`."""

    def __init__(self, database: Path) -> None:
        self.on_asked: Asked | None = None
        self._folder = socket_folder(database)
        self._slot = 0
        self._socket: socket.socket | None = None
        self._numbers = count(1)
        self._pending: dict[int, tuple[set[int], set[int], asyncio.Future[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, slot: int) -> None:
        """Listens as that slot, and no more as the one before. Raises StoreUnavailable."""
        self.close()
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            _make_private(self._folder)
            path = self._folder / str(slot)
            path.unlink(missing_ok=True)  # the slot is ours, so what is left there is a dead process's
            own.bind(str(path))
        except OSError as error:
            own.close()
            raise StoreUnavailable(f"{self._folder} cannot be used: {error.strerror}.") from error
        self._slot, self._socket = slot, own
        asyncio.get_running_loop().add_reader(own, self._read)

    def close(self) -> None:
        """On the loop that it was started on."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        (self._folder / str(self._slot)).unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()

    async def ask(self, slots: Sequence[int], source: str, timeout_s: float) -> frozenset[int]:
        """As ports.recall.Recall.ask."""
        number = next(self._numbers)
        waiting = {
            slot for slot in set(slots) - {self._slot} if self._send(slot, _Question(self._slot, number, source))
        }
        answered: set[int] = set()
        if not waiting:
            return frozenset()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending[number] = waiting, answered, done
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await done
        finally:
            del self._pending[number]
        return frozenset(answered)

    def _send(self, slot: int, message: _Question | _Answer, tries: int = MOST_TRIES) -> bool:
        """False when nobody is there."""
        if self._socket is None or not tries:
            return False
        try:
            self._socket.sendto(_encode(message), str(self._folder / str(slot)))
        except BlockingIOError:
            asyncio.get_running_loop().call_later(AGAIN_S, self._send, slot, message, tries - 1)
        except OSError:
            return False
        return True

    def _read(self) -> None:
        for _ in range(MOST_AT_ONCE):
            if self._socket is None:
                return
            try:
                data = self._socket.recv(LONGEST_DATAGRAM)
            except OSError:  # all are read
                return
            try:
                message = _decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.warning("datagram_unreadable", bytes=len(data))
                continue
            if not 0 <= message.from_slot < SLOTS:
                continue
            if isinstance(message, _Answer):
                self._count(message)
            else:
                task = asyncio.get_running_loop().create_task(self._answer(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _answer(self, question: _Question) -> None:
        try:
            if self.on_asked is not None:
                await self.on_asked(question.source)
        except (TrunklineError, Fenced) as error:
            log.warning("slices_kept", source=question.source, reason=str(error))
            return
        self._send(question.from_slot, _Answer(self._slot, question.number))

    def _count(self, answer: _Answer) -> None:
        pending = self._pending.get(answer.number)
        if pending is None:
            return
        waiting, answered, done = pending
        if answer.from_slot in waiting:
            answered.add(answer.from_slot)
            if answered == waiting and not done.done():
                done.set_result(None)


def socket_folder(database: Path) -> Path:
    """The same for every process: beside the database, or among temporary files when its path is too long."""
    folder = Path(f"{database.resolve()}.run")
    if len(os.fsencode(folder / str(SLOTS))) <= LONGEST_PATH:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"trunkline-{os.getuid()}-{digest}"


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(1, "it is somebody else's", str(folder))
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
