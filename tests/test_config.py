"""Laws of the settings: precedence, types, names, secrets, and what a reload changes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config import NEEDS_RESTART, SECTIONS, TABLES, Settings, compare, load, misspelled_variables, reload
from trunkline.errors import SettingsInvalid

CANARY = "sk-canary-7f3a9d"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, **environment: str) -> Settings:
    Path("trunkline.toml").write_text(text, encoding="utf-8")
    return load(environment=environment)


def refusal(text: str, **environment: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        written(text, **environment)
    return caught.value.message


def test_without_any_file_everything_has_its_default() -> None:
    settings = load(environment={})
    for section, options in SECTIONS.items():
        assert getattr(settings, section) == options()
    for table in TABLES:
        assert getattr(settings, table) == {}
    assert settings.path is None


def test_the_data_directory_is_made_for_us_alone() -> None:
    settings = load(environment={}, data_dir=Path("deep/down"))
    assert settings.data_dir == Path("deep/down").absolute()
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_data_directory_that_cannot_be_made_is_named() -> None:
    Path("taken").write_text("", encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=r"taken.*--data-dir"):
        load(environment={}, data_dir=Path("taken"))


def test_the_command_line_beats_the_environment_beats_the_file() -> None:
    Path("trunkline.toml").write_text("[server]\nport = 1\nworkers = 2\ndrain_s = 3\n", encoding="utf-8")
    settings = load(
        environment={"TRUNKLINE_SERVER__PORT": "10", "TRUNKLINE_SERVER__WORKERS": "20"}, overrides={"server.port": 100}
    )
    assert (settings.server.port, settings.server.workers, settings.server.drain_s) == (100, 20, 3.0)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("server.port", "0", 0),
        ("server.drain_s", "1.5", 1.5),
        ("server.drain_s", "2", 2.0),
        ("discovery.local", "false", False),
        ("discovery.local", "ON", True),
        ("server.cors_origins", "https://a.example, https://b.example", ("https://a.example", "https://b.example")),
        ("server.cors_origins", '["https://a.example"]', ("https://a.example",)),
        ("server.cors_origins", "", ()),
        ("transport.ca_file", "", None),
        ("log.level", "debug", "debug"),
    ],
)
def test_variables_have_the_type_of_their_setting(name: str, text: str, value: object) -> None:
    section, field = name.split(".")
    settings = load(environment={f"TRUNKLINE_{section}__{field}".upper(): text})
    found = getattr(getattr(settings, section), field)
    assert found == value
    assert type(found) is type(value)


def test_variables_reach_tables_by_name() -> None:
    settings = written(
        '[providers.office-vllm]\nbase_url = "http://10.0.0.5:8000/v1"\n',
        TRUNKLINE_PROVIDERS__OFFICE_VLLM__KIND="vllm",
        TRUNKLINE_PROVIDERS__DEEPSEEK__API_KEY="k",
        TRUNKLINE_MODELS__FAST__DEPLOYMENTS="a/b,c/d",
    )
    assert settings.providers["office-vllm"].kind == "vllm"
    assert settings.providers["office-vllm"].base_url == "http://10.0.0.5:8000/v1"
    assert settings.providers["deepseek"].api_key == "k"
    assert settings.models["fast"].deployments == ("a/b", "c/d")


def test_variables_of_other_programs_are_let_be() -> None:
    load(environment={"TRUNKLINE_PORT": "tcp://10.0.0.1:80", "TRUNKLINE_KEY": "sk-tl-x", "PATH": "/bin"})


def test_a_variable_with_one_underscore_is_noticed() -> None:
    environment = {"TRUNKLINE_SERVER_PORT": "1", "TRUNKLINE_LOG__LEVEL": "debug", "TRUNKLINE_KEY": "x"}
    assert list(misspelled_variables(environment)) == [("TRUNKLINE_SERVER_PORT", "TRUNKLINE_SERVER__PORT")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sever]\nport = 1", ["`sever`", "`server`"]),
        ("[server]\nprot = 1", ["server.prot", "`port`"]),
        ('[providers.x]\napikey = "x"', ["providers.x.apikey", "`api_key`"]),
        ('[models."a b"]\nstrategy = "fallback"', ['models."a b".deployments', "missing", "list of text"]),
        ("server = 1", ["server", "a table", "got 1"]),
        ("[providers]\nx = 1", ["providers.x", "[providers.NAME]"]),
        ("[server]\nport = 70000", ["server.port", "65535", "70000"]),
        ("[server]\nport = 'x'", ["server.port", "whole number", "text"]),
        ("[server]\nport = true", ["server.port", "got true"]),
        ("[server]\ndrain_s = nan", ["server.drain_s", "nan"]),
        ("[server]\nheader_timeout_s = inf", ["server.header_timeout_s", "inf"]),
        ("[server]\nhost = 1979-05-27", ["server.host", "a date"]),
        ("[server]\ncors_origins = 'x'", ["server.cors_origins", "a list of text", "got text"]),
        ("[log]\nlevel = 'loud'", ["log.level", '"warning"']),
        ("[server\nport = 1", ["trunkline.toml", "line 1", "column"]),
        ("[server]\nport = 1\nport = 2", ["trunkline.toml", "line 3"]),
    ],
)
def test_what_is_wrong_is_named_with_what_is_wanted(text: str, said: list[str]) -> None:
    message = refusal(text)
    for part in said:
        assert part in message


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("TRUNKLINE_SEVER__PORT", "1", "`server`"),
        ("TRUNKLINE_SERVER__PROT", "1", "`port`"),
        ("TRUNKLINE_SERVER__PORT", "many", "TRUNKLINE_SERVER__PORT"),
        ("TRUNKLINE_SERVER__PORT__X", "1", "names no setting"),
        ("TRUNKLINE_PROVIDERS__X", "1", "names no setting"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, text: str, said: str) -> None:
    message = refusal("", **{variable: text})
    assert variable in message
    assert said in message


def test_a_file_that_is_asked_for_must_be_there() -> None:
    with pytest.raises(SettingsInvalid, match=r"absent\.toml cannot be read: no such file"):
        load(Path("absent.toml"), environment={})


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = " + b"[" * 5000])
def test_a_file_of_rubbish_is_refused(content: bytes) -> None:
    Path("trunkline.toml").write_bytes(content)
    with pytest.raises(SettingsInvalid, match=r"trunkline\.toml"):
        load(environment={})


def test_secrets_come_from_where_they_point() -> None:
    Path("conf").mkdir()
    Path("conf/key").write_text("from-a-file\n", encoding="utf-8")
    Path("conf/t.toml").write_text(
        '[providers.a]\napi_key = "env:A_KEY"\n[providers.b]\napi_key = "file:key"\n[providers.c]\napi_key = "plain"\n',
        encoding="utf-8",
    )
    settings = load(Path("conf/t.toml"), environment={"A_KEY": "from-a-variable"})
    keys = [settings.providers[name].api_key for name in "abc"]
    assert keys == ["from-a-variable", "from-a-file", "plain"]


@pytest.mark.parametrize(
    ("reference", "said"),
    [("env:ABSENT", "ABSENT"), ("env:EMPTY", "EMPTY"), ("file:absent", "absent"), ("file:empty", "empty")],
)
def test_a_secret_that_is_missing_is_named_with_its_setting(reference: str, said: str) -> None:
    Path("empty").write_text("\n", encoding="utf-8")
    message = refusal(f'[providers.x]\napi_key = "{reference}"', EMPTY="")
    assert "providers.x.api_key" in message
    assert said in message


@pytest.mark.parametrize("name", ["access_key_id", "secret_access_key", "session_token", "client_secret"])
def test_every_secret_of_a_cloud_can_be_pointed_to_and_is_one_word(name: str) -> None:
    settings = written(f'[providers.x]\n{name} = "env:A_SECRET"', A_SECRET="from-a-variable")
    assert getattr(settings.providers["x"], name) == "from-a-variable"
    assert f"providers.x.{name}: a secret is printable ASCII" in refusal(f'[providers.x]\n{name} = "{CANARY} x"')


def test_a_credential_that_is_a_document_keeps_its_lines() -> None:
    Path("key.json").write_text('{\n "a": "b c"\n}\n', encoding="utf-8")
    settings = written(
        '[providers.a]\ngoogle_credentials = "file:key.json"\n[providers.b]\ngoogle_credentials = "env:JSON"',
        JSON='{"a": "é"}',
    )
    assert settings.providers["a"].google_credentials == '{\n "a": "b c"\n}'
    assert settings.providers["b"].google_credentials == '{"a": "é"}'
    assert "absent" in refusal('[providers.a]\ngoogle_credentials = "file:absent"')


def test_a_file_that_the_environment_names_as_googles_credential_is_read() -> None:
    Path("key.json").write_text(f'{{"private_key": "{CANARY}"}}', encoding="utf-8")
    keys = load(environment={"GOOGLE_APPLICATION_CREDENTIALS": "key.json", "AWS_REGION": "eu-west-1"}).environment_keys
    assert keys["GOOGLE_APPLICATION_CREDENTIALS"] == f'{{"private_key": "{CANARY}"}}'
    assert CANARY not in repr(keys)
    assert keys["AWS_REGION"] == "eu-west-1"
    absent = load(environment={"GOOGLE_APPLICATION_CREDENTIALS": "absent.json"}).environment_keys
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in absent


def test_a_token_file_is_relative_to_the_settings_and_must_be_there() -> None:
    Path("token").write_text("x", encoding="utf-8")
    settings = written('[providers.aws]\nweb_identity_token_file = "token"')
    assert settings.providers["aws"].web_identity_token_file == str(Path("token").absolute())
    assert "web_identity_token_file" in refusal('[providers.aws]\nweb_identity_token_file = "absent"')


@pytest.mark.parametrize(
    "text",
    [
        f'[providers.x]\napi_key = ["{CANARY}"]',
        f'[providers.x]\ngoogle_credentials = ["{CANARY}"]',
        f'[providers.x]\nuse_metadata = "{CANARY}"',
        f'[providers.x]\napi_key = "{CANARY} with spaces"',
        f'[providers.x]\napi_key = "{CANARY}\\r\\nx-injected: 1"',
        f'[providers.x]\nuse_proxy = "{CANARY}"',
        f'[log]\nlevel = "{CANARY}"',
        f'[server]\nport = "{CANARY}"',
        f'[providers]\nx = "{CANARY}"',
    ],
)
def test_no_message_shows_what_may_be_a_secret(text: str) -> None:
    assert CANARY not in refusal(text)


def test_printing_the_settings_shows_no_secret() -> None:
    settings = written(
        '[providers.x]\napi_key = "env:X_API_KEY"', X_API_KEY=CANARY, HTTPS_PROXY=f"http://u:{CANARY}@proxy:3128"
    )
    assert settings.providers["x"].api_key == CANARY
    assert CANARY not in repr(settings)
    assert CANARY not in repr(settings.environment_keys)
    assert CANARY not in repr(settings.proxy)


def test_provider_keys_of_the_environment_are_kept_and_nothing_else() -> None:
    settings = load(
        environment={"OPENAI_API_KEY": " a\n", "MISTRAL_API_KEY": " ", "OTHER_API_KEY": "b", "TRUNKLINE_KEY": "c"}
    )
    assert dict(settings.environment_keys) == {"OPENAI_API_KEY": "a"}


def test_the_proxy_is_read_in_either_case() -> None:
    proxy = load(environment={"https_proxy": "proxy:1", "NO_PROXY": "a, .b"}).proxy
    assert proxy is not None
    assert (proxy.url, proxy.no_proxy) == ("http://proxy:1", "a, .b")
    assert load(environment={"NO_PROXY": "a"}).proxy is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_listening_beyond_loopback_demands_tls_or_a_proxy(host: str) -> None:
    assert "tls_cert" in refusal(f'[server]\nhost = "{host}"')
    assert "trusted_proxies" in refusal(f'[server]\nhost = "{host}"\nbehind_proxy = true')
    written(f'[server]\nhost = "{host}"\nbehind_proxy = true\ntrusted_proxies = ["10.0.0.0/8"]')
    Path("c.pem").write_text("", encoding="utf-8")
    Path("k.pem").write_text("", encoding="utf-8")
    settings = written(f'[server]\nhost = "{host}"\ntls_cert = "c.pem"\ntls_key = "k.pem"')
    assert settings.server.tls_cert == str(Path("c.pem").absolute())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_needs_nothing(host: str) -> None:
    assert written(f'[server]\nhost = "{host}"').server.host == host


def test_certificate_and_key_come_together_and_exist() -> None:
    Path("c.pem").write_text("", encoding="utf-8")
    assert "server.tls_key" in refusal('[server]\ntls_cert = "c.pem"')
    assert "absent.pem" in refusal('[server]\ntls_cert = "c.pem"\ntls_key = "absent.pem"')


def test_a_reload_says_what_counts_now_and_what_waits() -> None:
    old = written('[server]\nport = 1\n[providers.x]\nbase_url = "http://a/v1"\n[providers.gone]\nkind = "openai"\n')
    Path("trunkline.toml").write_text(
        '[server]\nport = 2\n[providers.x]\nbase_url = "http://b/v1"\n[models."gpt-4.1"]\ndeployments = ["x/y"]\n'
        "[timeouts]\nidle_s = 7\n",
        encoding="utf-8",
    )
    new, changes = reload(old, environment={})
    assert changes.needs_restart == ("server.port",)
    assert {"providers.x.base_url", "providers.gone.kind", 'models."gpt-4.1".deployments', "timeouts.idle_s"} <= set(
        changes.applied
    )
    assert not set(changes.applied) & set(changes.unchanged)
    assert "server.host" in changes.unchanged
    assert new.server.port == 1
    assert new.timeouts.idle_s == 7


def test_a_bad_file_changes_nothing() -> None:
    old = written("[server]\nport = 1")
    Path("trunkline.toml").write_text("[server]\nprot = 2", encoding="utf-8")
    with pytest.raises(SettingsInvalid):
        reload(old, environment={})
    assert old.server.port == 1


def test_what_the_command_line_said_outlives_a_reload() -> None:
    Path("trunkline.toml").write_text("[log]\nlevel = 'info'", encoding="utf-8")
    old = load(environment={}, overrides={"log.level": "debug"})
    new, changes = reload(old, environment={})
    assert new.log.level == "debug"
    assert not changes.applied


def test_a_changed_secret_is_told_by_name_alone() -> None:
    old = written('[providers.x]\napi_key = "a"')
    new = written(f'[providers.x]\napi_key = "{CANARY}"')
    changes = compare(old, new)
    assert changes.applied == ("providers.x.api_key",)
    assert CANARY not in repr(changes)


@given(st.dictionaries(st.sampled_from(sorted(SECTIONS)), st.dictionaries(st.text(), st.integers() | st.text())))
def test_any_tree_loads_or_is_refused(tree: dict[str, dict[str, int | str]]) -> None:
    overrides = {f"{section}.{name}": value for section, table in tree.items() for name, value in table.items()}
    with contextlib.suppress(SettingsInvalid):
        assert load(environment={}, overrides=overrides).data_dir.is_dir()


def test_every_setting_of_every_section_is_typed_and_explained() -> None:
    for options in (*SECTIONS.values(), *TABLES.values()):
        for field in msgspec.structs.fields(options):
            description = msgspec.inspect.type_info(field.type)
            assert isinstance(description, msgspec.inspect.Metadata), field.name
            assert (description.extra_json_schema or {}).get("description"), field.name
    assert SECTIONS.keys() >= NEEDS_RESTART
