from __future__ import annotations

import pytest

from trunkline.providers.sandbox.directives import NONE
from trunkline.providers.sandbox.prompt import Prompt, Tools


def test_a_bare_prompt_wants_text_and_offers_nothing() -> None:
    prompt = Prompt(text="hi", tokens=1)
    assert prompt.form is None
    assert prompt.told is NONE
    assert prompt.tools == Tools(offers=[], must_call=False, parallel=True)


def test_prompts_share_nothing_that_can_change() -> None:
    one, other = Prompt(text="a", tokens=1), Prompt(text="b", tokens=1)
    one.results.append("only here")
    assert other.results == []
    with pytest.raises(AttributeError):
        one.text = "changed"  # type: ignore[misc]
