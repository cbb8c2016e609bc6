"""The page of compatibility is what the rooms' tables and the providers' rows say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trunkline.catalog.families import FAMILIES
from trunkline.catalog.providers import PROVIDERS
from trunkline.cli.compatibility import CALLERS, PROTOCOLS, TITLES, page, room, write
from trunkline.pipeline import protocols
from trunkline.pipeline.protocols import CallerProtocol

DOCS = Path(__file__).parents[2] / "docs"
PAGE = page("# Clients\n\n## One of them\n")


def section(title: str) -> str:
    found = re.split(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)
    return found[found.index(title) + 1]


def cells(text: str) -> list[list[str]]:
    """The rows of the tables in it, without their heads."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if not row[0].startswith("---")]


def test_the_page_has_not_drifted(tmp_path: Path) -> None:
    clients = (DOCS / "compatibility-clients.md").read_text(encoding="utf-8")
    written = (DOCS / "compatibility.md").read_text(encoding="utf-8")
    assert written == page(clients), "run: python -m trunkline.cli.compatibility docs/compatibility.md"
    (tmp_path / "compatibility-clients.md").write_text(clients, encoding="utf-8")
    write(tmp_path / "compatibility.md")
    assert (tmp_path / "compatibility.md").read_text(encoding="utf-8") == written


def test_the_matrix_is_whole() -> None:
    head, *rows = cells(section("Every pair"))
    assert head[1:] == [TITLES[protocol] for protocol in PROTOCOLS]
    assert [row[0] for row in rows] == [TITLES[caller.name] for caller in CALLERS]
    for caller, row in zip(CALLERS, rows, strict=True):
        passed = [at for at, cell in enumerate(row[1:]) if cell == "passed on"]
        assert passed == [PROTOCOLS.index(caller.name)]
        assert set(row[1:]) == {"passed on", "translated"}


def test_every_protocol_of_callers_is_there() -> None:
    known = {one.name for one in vars(protocols).values() if isinstance(one, CallerProtocol)}
    assert known == {caller.name for caller in CALLERS}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_line_of_a_room_is_on_the_page(protocol: str) -> None:
    told = {
        "request": cells(section(f"Of providers that speak {TITLES[protocol]}")),
        "answer": cells(section(f"To callers of {TITLES[protocol]}"))
        if protocol in {caller.name for caller in CALLERS}
        else [],
    }
    for loss in room(protocol).losses:
        if loss.direction == "answer" and not told["answer"]:
            continue  # nobody calls in it
        found = [row for row in told[loss.direction] if row[:2] == [f"`{loss.name}`", loss.how]]
        assert any(row[2].rstrip(".").lower() == loss.why.rstrip(".").lower() for row in found), loss
    assert len(told["request"]) == 1 + sum(loss.direction == "request" for loss in room(protocol).losses)


def test_every_row_of_a_provider_is_there_with_what_it_offers() -> None:
    head, *rows = cells(section("Providers"))
    assert {row[0].strip("`") for row in rows} == PROVIDERS.keys()
    for row in rows:
        offered = {name.replace(" ", "_") for name, mark in zip(head[2:], row[2:], strict=True) if mark == "yes"}
        assert offered == set(PROVIDERS[row[0].strip("`")].offers)


def test_every_family_is_there_with_its_source() -> None:
    _, *rows = cells(section("What a model refuses"))
    assert [row[4] for row in rows] == [family.source for family in FAMILIES]
    for row, family in zip(rows, FAMILIES, strict=True):
        assert set(row[2].split(", ")) >= set(family.drops)


def test_names_are_those_that_warnings_use() -> None:
    rows = {row[0]: row[1:] for row in cells(section("What a request loses"))}
    assert rows["`max_tokens`"] == [
        "`max_completion_tokens`",
        "`max_output_tokens`",
        "",
        "`generationConfig.maxOutputTokens`",
    ]


def test_what_is_kept_by_hand_comes_last_and_one_level_deeper() -> None:
    assert PAGE.endswith("\n## Clients\n\n### One of them\n")
