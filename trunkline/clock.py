"""The time, from one place that tests can hold.

`now_s` is Unix time in seconds, `monotonic_s` a clock that never steps back. Replace `clock` fields in tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable

now_s: Callable[[], float] = time.time  # noqa: TID251 - this is the place
monotonic_s: Callable[[], float] = time.monotonic  # noqa: TID251 - this is the place
