"""Trunkline: a self-hosted AI gateway.

Floors import only from floors below them; docs/architecture.md draws them and pyproject.toml enforces them.
"""

__version__ = "0.1.0"
