"""Whether strace is here and may trace a process, as faults of the disk are made with it."""

from __future__ import annotations

import functools
import shutil
import subprocess


@functools.cache
def hindrance() -> str | None:
    """Why not; None when it can."""
    if shutil.which("strace") is None:
        return "strace is missing: apt-get install strace"
    done = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "needs to trace a process, which root may: sudo make test"
