from __future__ import annotations

import hashlib
import hmac
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog.models import Deployment
from trunkline.catalog.providers import Provider
from trunkline.errors import Forbidden, InvalidRequest
from trunkline.ids import ALPHABET, AccountId, KeyId
from trunkline.policy import keys
from trunkline.policy.keys import KeyShape, KeysOptions, Scope
from trunkline.ports.keys import KeyLimits, KeyRecord, KeyRoute
from trunkline.routing.table import Route

SHAPE = KeyShape("sk-tl")
SCOPES: tuple[Scope, ...] = get_args(Scope)
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
        (False, True, {"inference", "read", "manage"}),
        (True, False, {"inference", "read", "manage", "admin"}),
        (True, True, {"inference", "read", "manage", "admin"}),
    ],
)
def test_who_may_call_what(admin: bool, manage: bool, scopes: set[Scope]) -> None:
    key = record(admin=admin, manage=manage)
    assert {scope for scope in SCOPES if keys.may(key, scope)} == scopes
    for scope in SCOPES:
        if scope in scopes:
            keys.require(key, scope)
        else:
            hint = {"read": "viewer"}.get(scope, scope)
            with pytest.raises(Forbidden, match=f"no {scope} scope.*--{hint}") as refused:
                keys.require(key, scope)
            assert refused.value.code == "scope_missing"


def test_a_viewer_reads_and_calls_nothing() -> None:
    viewer = record(limits=KeyLimits(read_only=True))
    assert {scope for scope in SCOPES if keys.may(viewer, scope)} == {"read"}
    with pytest.raises(Forbidden, match=r"no inference scope.*`trunkline keys create`"):
        keys.require(viewer, "inference")


def test_only_an_admin_of_the_root_runs_the_gateway() -> None:
    root = AccountId("acct_root")
    for scopes, account_id, runs in (
        ({"admin": True}, root, True),
        ({"admin": True}, AccountId("acct_1"), False),
        ({"manage": True}, root, False),
        ({}, root, False),
    ):
        one = msgspec.structs.replace(record(**scopes), account_id=account_id)
        assert keys.is_operator(one) is runs
        if runs:
            keys.require_operator(one)
        else:
            with pytest.raises(Forbidden, match="root account"):
                keys.require_operator(one)


@pytest.mark.parametrize(
    ("key", "role", "reach"),
    [
        ({"admin": True}, "owner", "acct_1"),
        ({"manage": True}, "admin", "acct_1"),
        ({}, "member", "acct_1"),
        ({"limits": KeyLimits(addresses=("10.0.0.0/8",))}, "member", "acct_1"),
        ({"limits": KeyLimits(read_only=True)}, "viewer", "acct_1"),
    ],
)
def test_the_role_of_a_key_and_how_far_it_sees(key: dict[str, Any], role: str, reach: str) -> None:
    one = msgspec.structs.replace(record(**key), account_id=AccountId("acct_1"))
    assert (keys.role(one), keys.reach(one)) == (role, reach)
    acting = keys.actor(one, "192.0.2.7")
    assert (acting.kind, acting.id, acting.account_id) == ("key", one.key_id, "acct_1")
    assert (acting.role, acting.address) == (role, "192.0.2.7")


@pytest.mark.parametrize(
    ("limits", "route", "code"),
    [
        (None, "chat", None),
        (KeyLimits(), "chat", None),
        (KeyLimits(addresses=("10.0.0.0/8",)), "chat", None),
        (KeyLimits(routes=("chat", "models")), "chat", None),
        (KeyLimits(routes=("chat", "models")), "embeddings", "route_not_allowed"),
        (KeyLimits(read_only=True), "chat", "scope_missing"),
        (KeyLimits(read_only=True), "models", None),
        (KeyLimits(read_only=True, routes=("chat",)), "models", "route_not_allowed"),
    ],
)
def test_which_routes_a_key_may_use(limits: KeyLimits | None, route: KeyRoute, code: str | None) -> None:
    key = record(limits=limits)
    if code is None:
        keys.require_route(key, route)
    else:
        with pytest.raises(Forbidden) as refused:
            keys.require_route(key, route)
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("networks", "address", "fits"),
    [
        ((), None, True),
        ((), "192.0.2.7", True),
        (("192.0.2.0/24",), "192.0.2.7", True),
        (("192.0.2.0/24",), "192.0.3.7", False),
        (("192.0.2.7/32",), "192.0.2.7", True),
        (("192.0.2.7/32",), "192.0.2.8", False),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db8::1", True),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db9::1", False),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("2001:db8::/32",), "10.1.2.3", False),
        (("0.0.0.0/0",), "::1", False),
        (("10.0.0.0/8",), None, False),
        (("10.0.0.0/8",), "", False),
        (("10.0.0.0/8",), "10.1.2.3, 192.0.2.7", False),
        (("10.0.0.0/8",), "nonsense", False),
    ],
)
def test_where_a_key_may_be_used_from(networks: tuple[str, ...], address: str | None, fits: bool) -> None:
    key = record(limits=KeyLimits(addresses=networks, routes=("chat",)))
    if fits:
        keys.require_address(key, address)
    else:
        with pytest.raises(Forbidden) as refused:
            keys.require_address(key, address)
        assert refused.value.code == "address_not_allowed"
        assert address is None or not address or address not in refused.value.message


def test_networks_have_one_spelling() -> None:
    written = (" 192.0.2.7", "192.0.2.9/24", "192.0.2.0/24", "2001:DB8::/32", "2001:db8:0:0::/32")
    assert keys.networks(written) == ("192.0.2.7/32", "192.0.2.0/24", "2001:db8::/32")
    for wrong in ("", "here", "192.0.2.0/33", "192.0.2.256", "192.0.2.0/24/8"):
        with pytest.raises(InvalidRequest) as refused:
            keys.networks((wrong,))
        assert refused.value.param == "addresses"


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
        (("!openai/*",), FAST, ["deepseek/deepseek-v3"]),
        (("fast", "!openai/*"), FAST, ["deepseek/deepseek-v3"]),
        (("*", "!OpenAI/*"), FAST, ["deepseek/deepseek-v3"]),
        (("!fast",), FAST, []),
        (("!*",), FAST, []),
        (("openai/*", "!openai/*"), FAST, []),
        (("!openai/gpt-4o",), BARE, ["openai/gpt-4o-mini"]),
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


def test_accounts_narrow_one_after_the_other() -> None:
    left = FAST.deployments
    for globs in ((), ("*",), ("!deepseek/*",)):
        left = keys.narrowed(FAST, left, globs, "This account")
    assert [one.model_id for one in left] == ["openai/gpt-4o-mini"]
    with pytest.raises(Forbidden, match="This account may not use the model 'Fast'"):
        keys.narrowed(FAST, left, ("deepseek/*",), "This account")


@pytest.mark.parametrize(
    ("globs", "name", "found"),
    [
        ((), "a", False),
        (("!b",), "a", True),
        (("!a",), "a", False),
        (("a", "!a"), "a", False),
        (("b", "!c"), "a", False),
        (("!",), "a", True),
    ],
)
def test_a_glob_with_a_mark_takes_away(globs: tuple[str, ...], name: str, found: bool) -> None:
    assert keys.matches(globs, name) is found


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
