"""Each source file has its same-named test, in the same place of the tree."""

from __future__ import annotations

from pathlib import Path

from tests.house import tree

# Alembic runs what is in here; storage/test_upgrade.py tests it as a whole.
RUN_BY_ALEMBIC = Path("trunkline/storage/migrations")
# Tests of the house, of the whole server, and of the bench, which mirror no file of the package.
MIRROR_NOTHING = {"house", "acceptance", "corpus", "bench"}


def test_of(source: Path) -> Path:
    return Path("tests", *source.parts[1:-1], f"test_{source.name}")


def source_of(test: Path) -> Path:
    return Path("trunkline", *test.parts[1:-1], test.name.removeprefix("test_"))


def sources() -> set[Path]:
    return {
        path
        for path in tree.sources("trunkline")
        if path.name != "__init__.py" and not path.is_relative_to(RUN_BY_ALEMBIC)
    }


def tests() -> set[Path]:
    return {
        path for path in tree.sources("tests") if path.name.startswith("test_") and path.parts[1] not in MIRROR_NOTHING
    }


def test_every_source_has_its_test() -> None:
    missing = sorted(path.as_posix() for path in {test_of(source) for source in sources()} - tests())
    assert not missing


def test_every_test_has_its_source() -> None:
    orphans = sorted(path.as_posix() for path in tests() if source_of(path) not in sources())
    assert not orphans
