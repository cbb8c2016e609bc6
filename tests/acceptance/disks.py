"""Disks that fail while a server runs, and recover: one that is full, and one whose syncs do not get through."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from tests import tracing
from tests.acceptance.asking import eventually

SIZE = "24m"
SYNCS = "fsync,fdatasync"
ATTACHED_WITHIN_S = 10.0

Failing = Callable[[Path, Sequence[int]], AbstractContextManager[None]]
"""Within the block the disk of that folder fails, for those processes at least."""


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """The folder is a disk of its own; the test is skipped aloud where none can be mounted."""
    folder.mkdir(exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("needs to mount a small disk, which root may: sudo make test")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(folder: Path, pids: Sequence[int]) -> Iterator[None]:
    """Not a byte more fits on it."""
    assert folder.is_mount(), "the test's own"
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\1" * size)
    assert not shutil.disk_usage(folder).free
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def unsynced(folder: Path, pids: Sequence[int]) -> Iterator[None]:
    """What is written stays in memory: the disk says that it has an error."""
    if (hindrance := tracing.hindrance()) is not None:
        pytest.skip(hindrance)
    told = folder.parent / "strace.log"
    which = [option for pid in pids for option in ("-p", str(pid))]
    command = ["strace", "-f", *which, "-e", f"trace={SYNCS}", "-e", f"inject={SYNCS}:error=EIO"]
    with told.open("wb") as output:
        strace = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        eventually(lambda: _is_traced(pids, strace), ATTACHED_WITHIN_S)
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(20)
    assert b"EIO" in told.read_bytes(), "nothing was synced meanwhile"


def _is_traced(pids: Sequence[int], strace: subprocess.Popen[bytes]) -> bool:
    """Every thread is."""
    assert strace.poll() is None, "strace has ended; may it attach to a process here?"
    threads = [f"/proc/{pid}/task/{thread}/status" for pid in pids for thread in os.listdir(f"/proc/{pid}/task")]
    return all(f"\nTracerPid:\t{strace.pid}\n" in Path(thread).read_text() for thread in threads)
