from __future__ import annotations

import pytest
import typer

from trunkline.cli import output
from trunkline.errors import NotFound, StoreUnavailable


def test_nothing_in_a_table_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_table(("ID", "NAME"), [("key_" + "x" * 200, "a"), ("key_1", "[red]名前[/red]")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ID" + " " * 204 + "NAME"
    assert lines[1] == "key_" + "x" * 200 + "  a"
    assert lines[2].split() == ["key_1", "[red]名前[/red]"]


def test_answers_and_notes_go_different_ways(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("answer")
    output.note("note")
    assert capsys.readouterr() == ("answer\n", "note\n")


def test_moments_are_utc() -> None:
    assert output.moment(1_800_000_000) == "2027-01-15 08:00:00Z"
    assert output.moment(None) == "never"


@pytest.mark.parametrize("error", [NotFound("There is no such thing."), StoreUnavailable("It does not answer.")])
def test_an_error_of_ours_is_one_sentence(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, output.refusals():
        raise error
    assert ended.value.exit_code == 1
    assert capsys.readouterr() == ("", f"trunkline: {error}\n")


def test_a_bug_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError), output.refusals():
        raise ZeroDivisionError
