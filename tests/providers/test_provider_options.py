from __future__ import annotations

import pytest

from trunkline.providers.provider_options import Place, Placed, ProviderOptions

CANARY = "canary-7f3a9d"


def test_options_print_the_names_of_what_is_set_and_no_value() -> None:
    options = ProviderOptions(api_key=CANARY, client_secret=CANARY, google_credentials=CANARY, region="us-east-1")
    assert repr(options) == "ProviderOptions(api_key, use_proxy, region, google_credentials, client_secret)"
    here = Place("a", "providers.a", options, {"KEY": CANARY}, CANARY)
    placed = Placed(base_url="https://a.example", key=CANARY)
    assert CANARY not in f"{options} {options!r} {here} {here!r} {placed} {placed!r}"


@pytest.mark.parametrize(
    ("value", "environment", "found"),
    [
        ("own", {"A": "env"}, "own"),
        ("", {"A": "env"}, ""),
        (None, {"A": "env", "B": "other"}, "env"),
        (None, {"A": "  ", "B": " other\n"}, "other"),
        (None, {}, None),
    ],
)
def test_the_setting_counts_before_the_first_variable(
    value: str | None, environment: dict[str, str], found: str | None
) -> None:
    assert Place("a", "providers.a", ProviderOptions(), environment).first(value, "A", "B") == found


def test_errors_name_the_setting() -> None:
    here = Place("a", "providers.a", ProviderOptions(), {})
    assert here.missing("x", "VARIABLE").message == "providers.a.x is missing; set it, or VARIABLE in the environment"
    assert here.refused("x", "no").param == "providers.a.x"
