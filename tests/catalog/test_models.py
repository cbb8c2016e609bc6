from __future__ import annotations

import msgspec

from trunkline.catalog.models import Capabilities, Deployment, Model
from trunkline.catalog.provider_row import Provider


def test_what_is_not_known_is_none() -> None:
    model = Model(id="p/m", provider="p", upstream="m", name="M")
    told = {**msgspec.structs.asdict(model), **msgspec.structs.asdict(model.capabilities)}
    unknown = {name for name, value in told.items() if value is None}
    assert unknown >= {"price", "context_window", "max_output_tokens", "input_modalities", "created", "tools", "vision"}


def test_unknown_is_not_no() -> None:
    assert Capabilities(tools=False) != Capabilities()


def test_a_deployment_may_have_no_known_model() -> None:
    row = Provider(id="vllm", name="vLLM", base_url="http://127.0.0.1:8000/v1")
    assert Deployment(model_id="o/m", provider_id="o", provider=row, upstream="m").model is None
