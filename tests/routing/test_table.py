from __future__ import annotations

import datetime as dt
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog.catalog import load_catalog
from trunkline.catalog.models import Deployment
from trunkline.catalog.prices import PriceOptions
from trunkline.catalog.provider_row import Provider
from trunkline.catalog.providers import PROVIDERS
from trunkline.errors import NotFound, SettingsInvalid
from trunkline.routing import table as table_module
from trunkline.routing.table import Available, RouteOptions, RouteTable

CATALOG = load_catalog(dt.date(2026, 11, 21))


def table(
    *rows: str,
    more: dict[str, Provider] | None = None,
    aliases: dict[str, tuple[str, ...]] | None = None,
    prices: dict[str, PriceOptions] | None = None,
    reported: dict[str, tuple[str, ...]] | None = None,
) -> RouteTable:
    providers = {name: PROVIDERS[name] for name in ("sandbox", *rows)} | (more or {})
    routes = {name: RouteOptions(deployments=targets) for name, targets in (aliases or {}).items()}
    return RouteTable(
        CATALOG, Available(providers=providers, aliases=routes, prices=prices or {}, reported=reported or {})
    )


def engine(kind: str, base_url: str = "http://10.0.0.5:8000/v1") -> Provider:
    return msgspec.structs.replace(PROVIDERS[kind], base_url=base_url)


def only(routes: RouteTable, asked: str) -> Deployment:
    (deployment,) = routes.resolve(asked).deployments
    return deployment


def refusal(routes: RouteTable, asked: str) -> str:
    with pytest.raises(NotFound) as caught:
        routes.resolve(asked)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    return caught.value.message


@pytest.mark.parametrize(
    ("asked", "model_id", "upstream"),
    [
        # provider/rest, in any case
        ("sandbox/echo", "sandbox/echo", "echo"),
        ("Sandbox/ECHO", "sandbox/echo", "echo"),
        ("openai/gpt-4o", "openai/gpt-4o", "gpt-4o"),
        ("OpenAI/GPT-4o", "openai/gpt-4o", "gpt-4o"),
        # the other names of a provider
        ("moonshot/kimi-k2.6", "moonshotai/kimi-k2.6", "kimi-k2.6"),
        ("Moonshot/Kimi-K2.6", "moonshotai/kimi-k2.6", "kimi-k2.6"),
        # what the catalog does not know goes as it was written
        ("openai/GPT-99-Preview", "openai/GPT-99-Preview", "GPT-99-Preview"),
        ("OPENAI/org/Odd:Name", "openai/org/Odd:Name", "org/Odd:Name"),
        ("deepseek/deepseek-v3", "deepseek/deepseek-v3", "deepseek-v3"),
        # dated names stay dated
        ("anthropic/claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-20250514", "claude-sonnet-4-20250514"),
        ("gpt-4o-2024-11-20", "openai/gpt-4o-2024-11-20", "gpt-4o-2024-11-20"),
        # shipped aliases
        ("DeepSeek-V3", "deepseek/deepseek-flash", "deepseek-flash"),
        ("deepseek-r1", "deepseek/deepseek-flash", "deepseek-flash"),
        # bare names: the maker's own
        ("gpt-4.1-mini", "openai/gpt-4.1-mini", "gpt-4.1-mini"),
        ("o4-mini", "openai/o4-mini", "o4-mini"),
        ("Claude-Sonnet-4-5", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("echo", "sandbox/echo", "echo"),
        ("Echo", "sandbox/echo", "echo"),
        # bare names: the only one that has it
        ("llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile", "llama-3.3-70b-versatile"),
        ("anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4", "claude-sonnet-4"),
        (
            "Meta-Llama/Llama-3.3-70B-Instruct",
            "openrouter/meta-llama/llama-3.3-70b-instruct",
            "meta-llama/llama-3.3-70b-instruct",
        ),
    ],
)
def test_a_name_reaches_its_model(asked: str, model_id: str, upstream: str) -> None:
    routes = table("openai", "anthropic", "deepseek", "moonshotai", "openrouter", "groq")
    deployment = only(routes, asked)
    assert (deployment.model_id, deployment.upstream) == (model_id, upstream)
    assert routes.resolve(asked).alias is None
    assert routes.resolve(asked).asked == asked


def test_facts_are_known_of_a_dated_name_and_none_are_guessed_of_an_unknown_one() -> None:
    routes = table("anthropic")
    dated = only(routes, "anthropic/claude-sonnet-4-20250514").model
    assert dated is not None
    assert dated.id == "anthropic/claude-sonnet-4-0"
    assert only(routes, "anthropic/claude-99").model is None


def test_a_configured_alias_wins_over_everything_in_any_case() -> None:
    routes = table("openai", aliases={"gpt-4o": ("sandbox/echo",), "openai/GPT-4.1": ("sandbox/story",)})
    assert only(routes, "GPT-4o").model_id == "sandbox/echo"
    assert routes.resolve("GPT-4o").alias == "gpt-4o"
    assert only(routes, "OpenAI/gpt-4.1").model_id == "sandbox/story"
    assert only(routes, "gpt-4.1").model_id == "openai/gpt-4.1"


def test_a_configured_provider_wins_over_a_shipped_alias_and_the_alias_over_a_bare_name() -> None:
    assert only(table("deepseek", "openrouter"), "deepseek/deepseek-v3").upstream == "deepseek-v3"
    assert only(table("openrouter"), "deepseek/deepseek-v3").model_id == "openrouter/deepseek/deepseek-chat"
    assert only(table("deepseek"), "deepseek-chat").model_id == "deepseek/deepseek-flash"


def test_an_alias_keeps_its_order_and_leaves_out_what_has_no_credential() -> None:
    routes = table(
        "openai", aliases={"fast": ("anthropic/claude-haiku-4-5", "openai/gpt-4o-mini", "echo", "sandbox/echo")}
    )
    assert [one.model_id for one in routes.resolve("fast").deployments] == ["openai/gpt-4o-mini", "sandbox/echo"]


def test_an_alias_does_not_lead_to_an_alias() -> None:
    routes = table(aliases={"a": ("b",), "b": ("sandbox/echo",)})
    assert "alias 'a' cannot be served" in refusal(routes, "a")


def test_an_alias_that_nothing_serves_loads_and_fails_when_it_is_called() -> None:
    routes = table(
        aliases={"text-embedding-3-small": ("sandbox/embed",), "dead": ("openai/gpt-4o",), "odd": ("sandbox/x",)}
    )
    assert only(routes, "text-embedding-3-small").model_id == "sandbox/embed"
    assert "Set OPENAI_API_KEY for openai/gpt-4o." in refusal(routes, "dead")
    assert "'sandbox/x'" in refusal(routes, "odd")


def test_a_server_of_our_own_behaves_like_its_kind_but_sells_nothing_of_it() -> None:
    routes = table(more={"office-vllm": engine("openai")})
    deployment = only(routes, "Office-VLLM/Llama-4")
    assert (deployment.provider_id, deployment.model_id, deployment.upstream) == (
        "office-vllm",
        "office-vllm/Llama-4",
        "Llama-4",
    )
    assert deployment.provider.base_url == "http://10.0.0.5:8000/v1"
    assert "Set OPENAI_API_KEY" in refusal(routes, "gpt-4o")
    assert not [line for line in routes.listing() if line.provider_id == "office-vllm"]


def test_a_second_account_at_a_provider_sells_what_the_provider_sells() -> None:
    routes = table(more={"openai-team": PROVIDERS["openai"]})
    assert only(routes, "gpt-4o").model_id == "openai-team/gpt-4o"
    assert only(routes, "openai-team/gpt-4o").model is not None
    assert "openai-team/gpt-4o" in {line.id for line in routes.listing()}


def test_a_price_in_the_settings_is_the_models_price() -> None:
    prices = {"office-vllm/Llama": PriceOptions(input=0.15), "openai/gpt-4o": PriceOptions(output=1)}
    routes = table("openai", more={"office-vllm": engine("vllm")}, prices=prices)
    own, sold = only(routes, "office-vllm/llama"), only(routes, "gpt-4o")
    assert own.upstream == "Llama"
    assert own.model is not None
    assert own.model.price is not None
    assert own.model.price.input == 150_000_000
    assert sold.model is not None
    assert sold.model.price is not None
    assert (sold.model.price.input, sold.model.price.output) == (2_500_000_000, 1_000_000_000)
    assert only(routes, "llama").model_id == "office-vllm/Llama"
    assert {"office-vllm/Llama", "openai/gpt-4o"} <= {line.id for line in routes.listing()}


def test_models_that_an_engine_reports_are_listed_and_found_bare() -> None:
    routes = table("ollama", reported={"ollama": ("llama3.2:latest", "qwen3:8b")})
    assert only(routes, "Llama3.2:Latest").model_id == "ollama/llama3.2:latest"
    assert only(routes, "ollama/QWEN3:8b").upstream == "qwen3:8b"
    assert "ollama/qwen3:8b" in {line.id for line in routes.listing()}


def test_several_providers_are_candidates_and_none_is_chosen() -> None:
    told = refusal(table("groq", "openrouter"), "qwen/qwen3-32b")
    assert "groq/qwen/qwen3-32b" in told
    assert "openrouter/qwen/qwen3-32b" in told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("gpt-4o", "Set OPENAI_API_KEY for openai/gpt-4o"),
        ("openai/gpt-4o", "Set OPENAI_API_KEY for openai/gpt-4o."),
        ("moonshot/kimi-k2.6", "Set MOONSHOT_API_KEY for moonshotai/kimi-k2.6"),
        ("DeepSeek-V3", "Set DEEPSEEK_API_KEY for deepseek/deepseek-flash"),
        ("claude-opus-4-5", "Set ANTHROPIC_API_KEY for anthropic/claude-opus-4-5"),
        ("azure/gpt-4o", "[providers.azure] base_url and api_key"),
        ("fireworks/anything", "Set FIREWORKS_API_KEY"),
    ],
)
def test_a_model_without_a_credential_says_which_key_to_set(asked: str, told: str) -> None:
    message = refusal(table(), asked)
    assert told in message
    assert f"'{asked}'" in message


def test_a_provider_that_is_named_but_not_configured_is_not_replaced() -> None:
    told = refusal(table("openrouter"), "openai/gpt-4o")
    assert "Set OPENAI_API_KEY" in told
    assert "openrouter/openai/gpt-4o can be called" in told


@pytest.mark.parametrize(
    ("asked", "near"),
    [("sandbox/ecoh", "sandbox/echo"), ("gpt-4oo", "openai/gpt-4o"), ("claud-opus-4-5", "claude-opus-4-5")],
)
def test_a_slip_is_told_the_nearest_names(asked: str, near: str) -> None:
    told = refusal(table(), asked)
    assert near in told
    assert told.count(" or ") <= 2


def test_a_name_like_nothing_is_told_where_the_list_is() -> None:
    assert refusal(table(), "no-such/model-7") == (
        "The model 'no-such/model-7' does not exist. GET /v1/models lists the models that can be called."
    )


@pytest.mark.parametrize("asked", ["", "a\nb", "x" * 257, "\x00", "gpt-4o\u202e", "/", "openai/", "/gpt-4o"])
def test_hostile_names_are_refused_and_shown_harmless_and_short(asked: str) -> None:
    told = refusal(table("openai"), asked)
    assert told.isprintable()
    assert len(told) < 500


@given(st.text(max_size=400))
def test_no_name_raises_anything_but_not_found(asked: str) -> None:
    told = "served"
    try:
        SHARED.resolve(asked)
    except NotFound as error:
        told = error.message
    assert told.isprintable()
    assert len(told) < 1000


SHARED = table("openai", "groq", aliases={"fast": ("sandbox/echo",)})


def test_a_flood_of_names_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "MEMO_ENTRIES", 50)
    monkeypatch.setattr(table_module, "MISSES_ENTRIES", 50)
    routes = table("openai")
    first = routes.resolve("gpt-4o")
    for n in range(300):
        routes.resolve(f"openai/made-up-{n}")
        with pytest.raises(NotFound):
            routes.resolve(f"sandbox/{n}")
    assert len(routes._memo) == 50
    assert len(routes._misses) == 50
    assert routes.resolve("gpt-4o") == first
    assert max(sys.getsizeof(name) for name in routes._misses) < 1000


def test_an_answer_is_remembered() -> None:
    routes = table("openai")
    assert routes.resolve("gpt-4o") is routes.resolve("gpt-4o")
    assert routes.resolve("GPT-4o").asked == "GPT-4o"


def test_what_is_listed_can_be_called_and_is_itself() -> None:
    routes = table(
        "openai", "openrouter", "fireworks", "zai", aliases={"fast": ("echo", "gpt-4o"), "dead": ("groq/x",)}
    )
    lines = list(routes.listing())
    ids = [line.id.casefold() for line in lines]
    assert len(ids) == len(set(ids)) > 1000
    assert lines[0].id == "fast"
    assert lines[0].deployments == ("sandbox/echo", "openai/gpt-4o")
    assert "dead" not in ids
    for line in lines[1:]:
        deployment = only(routes, line.id)
        assert deployment.model_id == line.id
        assert deployment.model == line.model


def test_an_alias_that_is_called_like_a_model_is_listed_once() -> None:
    lines = [
        line
        for line in table("openai", aliases={"OpenAI/gpt-4o": ("sandbox/echo",)}).listing()
        if line.id.lower() == "openai/gpt-4o"
    ]
    assert [(line.id, line.provider_id) for line in lines] == [("OpenAI/gpt-4o", "sandbox")]


def test_everything_is_the_catalog_and_what_is_ours() -> None:
    lines = list(table(aliases={"fast": ("echo",)}).listing(everything=True))
    assert len(lines) == len(CATALOG.models) + 1
    assert "openai/gpt-4o" in {line.id for line in lines}


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 257])
def test_an_alias_must_be_a_name(name: str) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be an alias"):
        table(aliases={name: ("sandbox/echo",)})


@pytest.mark.parametrize("target", ["", "/x", "x/", "a\tb", "x" * 300])
def test_an_alias_must_lead_to_a_name(target: str) -> None:
    with pytest.raises(SettingsInvalid, match="is no model id"):
        table(aliases={"fast": (target,)})


def test_two_aliases_may_not_differ_in_case_alone() -> None:
    with pytest.raises(SettingsInvalid, match="differ only in case"):
        table(aliases={"fast": ("sandbox/echo",), "FAST": ("sandbox/story",)})


def test_two_providers_may_not_differ_in_case_alone() -> None:
    with pytest.raises(SettingsInvalid, match="differ only in case"):
        table(more={"office": engine("vllm"), "Office": engine("vllm")})
