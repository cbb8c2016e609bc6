from __future__ import annotations

from trunkline.catalog.engines import ENGINES, SANDBOX


def test_the_usual_ports() -> None:
    ports = {row.id: row.local_port for row in ENGINES if row.local_port is not None}
    assert ports == {"vllm": 8000, "ollama": 11434, "llamacpp": 8080, "lmstudio": 1234, "sglang": 30000}


def test_an_engine_with_a_port_is_on_loopback() -> None:
    for row in ENGINES:
        if row.local_port is not None:
            assert row.base_url == f"http://127.0.0.1:{row.local_port}/v1"


def test_there_is_a_row_for_any_other_server() -> None:
    generic = {row.id: row for row in ENGINES}["openai-compatible"]
    assert generic.base_url is None
    assert generic.credential == "bearer"


def test_the_sandbox_has_no_url_and_no_models_but_ours() -> None:
    assert SANDBOX.base_url is None
    assert SANDBOX.closed
    assert not SANDBOX.key_names
