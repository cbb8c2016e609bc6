from __future__ import annotations

from trunkline.wire.demand import Demand


def test_a_demand_is_the_sum_of_its_inputs_and_of_its_choices() -> None:
    demand = Demand(text_bytes=100, media_tokens=20, audio_tokens=3, n=4, max_output=50)
    assert demand.input_tokens == 123
    assert demand.output_tokens == 200
