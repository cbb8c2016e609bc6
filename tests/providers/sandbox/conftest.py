"""Examples have no deadline: on a busy machine one may take long, and how long is tested where it is the point."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
