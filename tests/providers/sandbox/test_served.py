from __future__ import annotations

import pytest

from trunkline.errors import InvalidRequest, NotFound
from trunkline.providers.sandbox.served import SERVED, model_of


@pytest.mark.parametrize("endpoint", SERVED)
def test_each_model_answers_at_its_endpoints_alone(endpoint: str) -> None:
    every = {model for served in SERVED.values() for model in served}
    for model in SERVED[endpoint]:
        assert model_of(f"Sandbox-Responses/{model.upper()}", endpoint) == model_of(model, endpoint) == model
    for model in every - SERVED[endpoint]:
        with pytest.raises(InvalidRequest, match=endpoint) as caught:
            model_of(model, endpoint)
        assert (caught.value.param, caught.value.code) == ("model", "unsupported_model")


@pytest.mark.parametrize("name", ["gpt-4o", "", "other/echo", "sandbox/"])
def test_unknown_models_are_not_found(name: str) -> None:
    with pytest.raises(NotFound) as caught:
        model_of(name, "/responses")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
