from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog.models import Deployment
from trunkline.catalog.providers import Provider
from trunkline.errors import Forbidden, InvalidRequest
from trunkline.ids import ALPHABET, AccountId, KeyId
from trunkline.policy import keys
from trunkline.policy.keys import KeyShape, KeysOptions, Scope
from trunkline.ports.keys import KeyRecord
from trunkline.routing.table import Route

SHAPE = KeyShape("sk-tl")
PEPPER = b"p" * 32
PUBLIC_IDS = st.text(ALPHABET, min_size=keys.PUBLIC_ID_WIDTH, max_size=keys.PUBLIC_ID_WIDTH)
SECRETS = st.text(ALPHABET, min_size=keys.SECRET_WIDTH, max_size=keys.SECRET_WIDTH)
PREFIXES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}", fullmatch=True)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


def record(**facts: object) -> KeyRecord:
    fields: dict[str, object] = {
        "digest": b"d" * 32,
        "key_id": KeyId("key_1"),
        "account_id": AccountId("acct_root"),
        "name": "test",
    }
    return KeyRecord(**{**fields, **facts})  # type: ignore[arg-type]


@given(PREFIXES, PUBLIC_IDS, SECRETS)
def test_a_minted_key_is_recognised_whatever_the_prefix(prefix: str, public_id: str, secret: str) -> None:
    shape = KeyShape(prefix)
    key = shape.mint(public_id, secret)
    assert key.startswith(f"{prefix}-{public_id}-{secret}")
    assert len(key) == len(prefix) + 63
    assert shape.public_id(key) == public_id
    assert not shape.is_garbled(key)


@given(PUBLIC_IDS, SECRETS, st.data())
def test_every_change_of_one_character_is_noticed(public_id: str, secret: str, data: st.DataObject) -> None:
    key = SHAPE.mint(public_id, secret)
    place = data.draw(st.integers(len("sk-tl-"), len(key) - 1).filter(lambda at: key[at] != "-"))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda letter: letter != key[place]))
    assert SHAPE.is_garbled(key[:place] + other + key[place + 1 :])


def test_every_change_of_one_character_of_one_key_is_noticed() -> None:
    key = SHAPE.mint("abcdefghijkl", "Z" * 43)
    for place in range(len("sk-tl-"), len(key)):
        for other in ALPHABET:
            changed = key[:place] + other + key[place + 1 :]
            # Where a dash stood, it no longer is our shape, and the store says that it has no such key.
            assert changed == key or SHAPE.is_garbled(changed) is (key[place] != "-")


def test_the_checksum_is_the_crc_in_base62() -> None:
    value = 0
    for letter in keys.checksum("123456789"):
        value = value * 62 + ALPHABET.index(letter)
    assert value == 0xCBF43926  # the check value of CRC-32
    assert keys.checksum("") == "000000"
    assert SHAPE.mint("0" * 12, "0" * 43) == "sk-tl-" + "0" * 12 + "-" + "0" * 43 + keys.checksum(
        "sk-tl-" + "0" * 12 + "-" + "0" * 43
    )


@pytest.mark.parametrize(
    "other",
    [
        "",
        "sk-tl-",
        "sk-proj-abc",
        "sk-tl-abc-def",
        "SK-TL-" + "0" * 12 + "-" + "0" * 49,
        "x" * 10_000,
        "sk-tl-é",
        "\x00",
    ],
)
def test_other_strings_are_not_ours_to_refuse(other: str) -> None:
    assert SHAPE.public_id(other) is None
    assert not SHAPE.is_garbled(other)


def test_letters_of_other_alphabets_are_not_ours() -> None:
    assert SHAPE.public_id("sk-tl-" + "٣" * 12 + "-" + "0" * 49) is None
    assert SHAPE.public_id(SHAPE.mint("0" * 12, "0" * 43) + "\n") is None


@pytest.mark.parametrize(("public_id", "secret"), [("short", "0" * 43), ("0" * 12, "short"), ("", "")])
def test_a_key_is_not_minted_of_short_parts(public_id: str, secret: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        SHAPE.mint(public_id, secret)


@given(ANY_TEXT, ANY_TEXT)
def test_two_strings_never_share_a_digest(one: str, other: str) -> None:
    same = keys.digest(PEPPER, one) == keys.digest(PEPPER, other)
    assert same is (one == other)


def test_the_digest_is_hmac_sha256_of_the_whole_key() -> None:
    assert keys.digest(PEPPER, "any key") == hmac.new(PEPPER, b"any key", hashlib.sha256).digest()
    assert keys.digest(PEPPER, "any key") != keys.digest(b"q" * 32, "any key")
    assert len(keys.digest(PEPPER, "\ud800\xff")) == 32


@pytest.mark.parametrize(
    ("expires_at", "state"), [(None, "active"), (100.5, "active"), (100.0, "expired"), (99.0, "expired")]
)
def test_a_key_ends_at_its_end(expires_at: float | None, state: str) -> None:
    assert keys.state(record(expires_at=expires_at), 100.0) == state


@pytest.mark.parametrize(
    ("admin", "manage", "scopes"),
    [
        (False, False, {"inference"}),
        (False, True, {"inference", "manage"}),
        (True, False, {"inference", "manage", "admin"}),
        (True, True, {"inference", "manage", "admin"}),
    ],
)
def test_who_may_call_what(admin: bool, manage: bool, scopes: set[Scope]) -> None:
    key = record(admin=admin, manage=manage)
    every: tuple[Scope, ...] = ("inference", "manage", "admin")
    assert {scope for scope in every if keys.may(key, scope)} == scopes
    for scope in every:
        if scope in scopes:
            keys.require(key, scope)
        else:
            with pytest.raises(Forbidden, match=f"no {scope} scope.*--{scope}"):
                keys.require(key, scope)


def deployment(model_id: str) -> Deployment:
    # The permission looks at ids only.
    provider: Provider = None  # type: ignore[assignment]
    return Deployment(model_id=model_id, provider_id="any", provider=provider, upstream=model_id)


def route(asked: str, *model_ids: str, alias: str | None = None) -> Route:
    return Route(asked=asked, alias=alias, deployments=tuple(deployment(model_id) for model_id in model_ids))


FAST = route("Fast", "deepseek/deepseek-v3", "openai/gpt-4o-mini", alias="fast")
BARE = route("GPT-4o-mini", "openai/gpt-4o-mini")


@pytest.mark.parametrize(
    ("globs", "asked", "served"),
    [
        ((), FAST, ["deepseek/deepseek-v3", "openai/gpt-4o-mini"]),
        (("*",), FAST, ["deepseek/deepseek-v3", "openai/gpt-4o-mini"]),
        (("fast",), FAST, ["deepseek/deepseek-v3", "openai/gpt-4o-mini"]),
        (("FA?T",), FAST, ["deepseek/deepseek-v3", "openai/gpt-4o-mini"]),
        (("openai/*",), FAST, ["openai/gpt-4o-mini"]),
        (("nothing", "DeepSeek/DeepSeek-V3"), FAST, ["deepseek/deepseek-v3"]),
        (("openai/gpt-4o",), FAST, []),
        (("fas",), FAST, []),
        (("gpt-4o-mini",), BARE, ["openai/gpt-4o-mini"]),
        (("gpt-*",), BARE, ["openai/gpt-4o-mini"]),
        (("openai/*",), BARE, ["openai/gpt-4o-mini"]),
        (("anthropic/*",), BARE, []),
        (("gpt-4o",), BARE, []),
        # A bare name on the list is that name, not every provider's model of that name.
        (("gpt-4o-mini",), route("azure/gpt-4o-mini", "azure/gpt-4o-mini"), []),
    ],
)
def test_what_a_key_may_use_of_a_route(globs: tuple[str, ...], asked: Route, served: list[str]) -> None:
    key = record(models=globs)
    if served:
        assert [one.model_id for one in keys.permitted(key, asked)] == served
    else:
        with pytest.raises(Forbidden) as refused:
            keys.permitted(key, asked)
        assert refused.value.code == "model_not_allowed"
        assert refused.value.param == "model"


@given(
    st.lists(st.text("ab/*?", min_size=1, max_size=5), min_size=1, max_size=3),
    st.lists(st.text("ab/", min_size=1, max_size=4), min_size=1, max_size=4),
    st.text("ab/", min_size=1, max_size=4),
)
def test_a_key_never_reaches_what_it_does_not_list(globs: list[str], model_ids: list[str], asked: str) -> None:
    try:
        served = keys.permitted(record(models=tuple(globs)), route(asked, *model_ids, alias=asked))
    except Forbidden:
        served = ()
    if keys.matches(tuple(globs), asked):
        assert [one.model_id for one in served] == model_ids
    else:
        assert [one.model_id for one in served] == [one for one in model_ids if keys.matches(tuple(globs), one)]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("sk-1234", "too short"),
        ("", "too short"),
        ("password", "first that anybody"),
        ("PassWord", "first that anybody"),
        ("sk-123456", "first that anybody"),
        ("aaaaaaaaaaaaaaaa", "first that anybody"),
        ("sk-111111111111", "first that anybody"),
        ("a key with spaces", "without spaces"),
        ("line\nbreak-in-it", "without spaces"),
        ("schlüssel-schlüssel", "ASCII"),
        ("k" * 10 + "0123456789" * 60, "at most"),
        (SHAPE.mint("0" * 12, "0" * 43)[:-1] + "!", None),
        (SHAPE.mint("0" * 12, "0" * 43)[:-6] + "000000", "checksum"),
        (SHAPE.mint("0" * 12, "0" * 43), None),
        ("sk-test-abcdef123", None),
        ("YOUR_API_KEY", None),
        ("sk-ant-api03-abc", None),
        ("' OR '1'='1".replace(" ", "+"), None),
    ],
)
def test_which_strings_may_be_taken_over(key: str, said: str | None) -> None:
    if said is None:
        keys.check_import(key, SHAPE)
        return
    with pytest.raises(InvalidRequest, match=said) as refused:
        keys.check_import(key, SHAPE)
    assert refused.value.param == "key"
    assert len(key) < 2 or key not in refused.value.message


def test_the_pepper_is_not_printed() -> None:
    assert "peppery" not in repr(KeysOptions(pepper="peppery-secret"))
    assert "set" in repr(KeysOptions(pepper="peppery-secret"))
