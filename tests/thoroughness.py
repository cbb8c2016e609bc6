"""How many examples a law is tried on: a third where every change is checked, all of them where all is tested.

TESTS_THOROUGH=1 asks for all.
"""

from __future__ import annotations

import os

SHARE = 1 if os.environ.get("TESTS_THOROUGH") else 3


def examples(most: int) -> int:
    """At least 10, and never more than `most`."""
    return min(most, max(10, most // SHARE))
