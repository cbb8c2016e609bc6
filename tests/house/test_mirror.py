"""Each source file has its same-named test, in the same place of the tree."""

from __future__ import annotations

from pathlib import Path

from tests.house import tree

# Alembic runs what is in here; the tests of storage/upgrade.py test it as a whole.
RUN_BY_ALEMBIC = Path("trunkline/storage/migrations")
# Tests of the house, of the whole server, of pairs of protocols and of the bench mirror no file of the package.
MIRROR_NOTHING = {"house", "acceptance", "corpus", "bench", "pairs"}

SOURCES = {
    path for path in tree.sources("trunkline") if path.name != "__init__.py" and not path.is_relative_to(RUN_BY_ALEMBIC)
}
TESTS = {
    path for path in tree.sources("tests") if path.name.startswith("test_") and path.parts[1] not in MIRROR_NOTHING
}


def mirror_of(source: Path) -> Path:
    return Path("tests", *source.parts[1:-1], f"test_{source.name}")


def mirrored_by(test: Path) -> Path:
    return Path("trunkline", *test.parts[1:-1], test.name.removeprefix("test_"))


def test_every_source_has_its_test() -> None:
    missing = sorted(mirror_of(source).as_posix() for source in SOURCES if mirror_of(source) not in TESTS)
    assert not missing, "\n".join(missing)


def test_every_test_has_its_source() -> None:
    orphans = sorted(test.as_posix() for test in TESTS if mirrored_by(test) not in SOURCES)
    assert not orphans, "\n".join(orphans)
