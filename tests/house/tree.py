"""The work tree as the house tests see it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What .gitignore names, and what tools leave behind.
NOT_OURS = {
    ".git",
    ".venv",
    ".envs",
    ".trunkline",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".pytest_cache",
    ".import_linter_cache",
    "__pycache__",
    "node_modules",
    "dist",
}
BUILT = ("bench/build", "bench/results")


@cache
def files(suffix: str = "") -> tuple[Path, ...]:
    """Every file of the project, relative to its root, sorted; `suffix` as `.py`."""
    found: list[Path] = []
    folders = [ROOT]
    while folders:
        for entry in folders.pop().iterdir():
            if entry.name in NOT_OURS or entry.name.startswith(".venv") or entry.name.endswith(".egg-info"):
                continue
            relative = entry.relative_to(ROOT)
            if entry.is_dir():
                if relative.as_posix() not in BUILT:
                    folders.append(entry)
            elif entry.name.endswith(suffix):
                found.append(relative)
    return tuple(sorted(found))


def sources(*tops: str) -> list[Path]:
    """The Python files under the named top folders."""
    return [path for path in files(".py") if path.parts[0] in tops]


def read(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
