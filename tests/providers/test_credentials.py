from __future__ import annotations

import io

import pytest
import rich.console

from trunkline.catalog.engines import SANDBOXES
from trunkline.catalog.provider_row import Provider
from trunkline.catalog.providers import PROVIDERS
from trunkline.errors import SettingsInvalid
from trunkline.observe import Secret
from trunkline.providers.bedrock import AwsSigner
from trunkline.providers.credentials import (
    SANDBOX_ORIGIN,
    ProviderOptions,
    Upstream,
    configured,
    credential_headers,
    with_signers,
)
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import Origin, TransportOptions

KEY = "sk-very-secret-0123456789"
IDS = [row.id for row in SANDBOXES]


def one(name: str, **environment: str) -> Upstream:
    return configured({name: ProviderOptions(api_key=KEY)}, environment)[name]


def refused(options: dict[str, ProviderOptions], **environment: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        configured(options, environment)
    assert KEY not in str(caught.value)
    return caught.value.message


def test_with_nothing_configured_there_is_the_sandbox() -> None:
    upstreams = configured({}, {})
    assert list(upstreams) == IDS
    assert upstreams["sandbox"].origin == SANDBOX_ORIGIN
    assert upstreams["sandbox"].headers == ()


def test_a_key_in_the_environment_configures_its_provider() -> None:
    upstreams = configured({}, {"OPENAI_API_KEY": f" {KEY}\n", "DEEPSEEK_API_KEY": "sk-d", "GROQ_API_KEY": ""})
    assert list(upstreams) == [*IDS, "openai", "deepseek"]
    openai, deepseek = upstreams["openai"], upstreams["deepseek"]
    assert openai.origin == Origin(scheme="https", host="api.openai.com", port=443)
    assert openai.path_prefix == b"/v1"
    assert openai.headers == ((b"authorization", b"Bearer " + KEY.encode()),)
    assert openai.use_proxy
    assert (deepseek.origin.host, deepseek.path_prefix) == ("api.deepseek.com", b"")


def test_a_provider_of_the_settings_comes_before_one_of_the_environment() -> None:
    upstreams = configured(
        {"groq": ProviderOptions(api_key="sk-g")}, {"OPENAI_API_KEY": KEY, "GROQ_API_KEY": "sk-other"}
    )
    assert list(upstreams) == [*IDS, "groq", "openai"]
    assert upstreams["groq"].headers == ((b"authorization", b"Bearer sk-g"),)


def test_a_section_without_a_key_takes_the_usual_one() -> None:
    assert (
        configured({"openai": ProviderOptions(use_proxy=False)}, {"OPENAI_API_KEY": KEY})["openai"].use_proxy is False
    )
    assert "providers.openai.api_key is missing; set it, or OPENAI_API_KEY" in refused({"openai": ProviderOptions()})


def test_a_usual_key_is_never_sent_to_another_url() -> None:
    options = {
        "openai": ProviderOptions(base_url="https://elsewhere.example/v1"),
        "mine": ProviderOptions(kind="anthropic", base_url="http://10.0.0.5/v1"),
    }
    upstreams = configured(options, {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": "sk-a"})
    assert upstreams["openai"].headers == ()
    assert upstreams["mine"].headers == ()
    assert upstreams["anthropic"].origin.host == "api.anthropic.com"


def test_a_server_of_our_own_needs_no_key_and_keeps_its_name() -> None:
    options = {"office-vllm": ProviderOptions(kind="openai", base_url="http://10.0.0.5:8000/v1/")}
    upstream = configured(options, {})["office-vllm"]
    assert upstream.origin == Origin(scheme="http", host="10.0.0.5", port=8000)
    assert upstream.path_prefix == b"/v1"
    assert upstream.row.id == "openai"
    assert upstream.row.base_url == "http://10.0.0.5:8000/v1"
    assert upstream.headers == ()


def test_a_section_called_by_another_name_is_the_provider() -> None:
    upstreams = configured({"Moonshot": ProviderOptions(api_key=KEY)}, {})
    assert list(upstreams) == [*IDS, "moonshotai"]


def test_an_engine_with_a_key_gets_it_as_a_bearer_token() -> None:
    upstream = configured({"vllm": ProviderOptions(api_key=KEY)}, {})["vllm"]
    assert upstream.headers == ((b"authorization", b"Bearer " + KEY.encode()),)
    assert configured({"ollama": ProviderOptions()}, {})["ollama"].headers == ()


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("bearer", (b"authorization", b"Bearer k")),
        ("none", (b"authorization", b"Bearer k")),
        ("api-key", (b"api-key", b"k")),
        ("x-api-key", (b"x-api-key", b"k")),
        ("x-goog-api-key", (b"x-goog-api-key", b"k")),
        ("aws", (b"authorization", b"Bearer k")),
        ("google", (b"x-goog-api-key", b"k")),
        ("azure", (b"api-key", b"k")),
    ],
)
def test_the_kinds_of_credentials(kind: str, header: tuple[bytes, bytes]) -> None:
    assert list(credential_headers(kind, Secret("k"))) == [header]  # type: ignore[arg-type]


def test_azure_has_a_url_of_its_customers_and_its_key_from_the_environment() -> None:
    options = {"azure": ProviderOptions(base_url="https://me.openai.azure.com/openai/v1")}
    upstream = configured(options, {"AZURE_OPENAI_API_KEY": KEY})["azure"]
    assert upstream.headers == ((b"api-key", KEY.encode()),)
    told = refused({"azure": ProviderOptions(api_key=KEY)})
    assert "providers.azure.base_url is missing" in told
    assert "AZURE_OPENAI_ENDPOINT" in told


@pytest.mark.parametrize(
    ("host", "proxied"),
    [("127.0.0.1", False), ("localhost", False), ("[::1]", False), ("10.0.0.5", True), ("127.example.com", True)],
)
def test_an_engine_on_this_machine_is_reached_without_a_proxy(host: str, proxied: bool) -> None:
    options = {"ollama": ProviderOptions(base_url=f"http://{host}:11434/v1")}
    assert configured(options, {})["ollama"].use_proxy is proxied


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"nobody": ProviderOptions(api_key=KEY)}, "nobody is no known provider"),
        ({"x": ProviderOptions(kind="nobody")}, "`openai-compatible` serves any server"),
        ({"a b": ProviderOptions(kind="vllm")}, "a provider's name has letters"),
        ({"a/b": ProviderOptions(kind="vllm")}, "a provider's name has letters"),
        ({"sandbox": ProviderOptions(base_url="http://x/v1")}, "the sandbox is inside the gateway"),
        ({"mine": ProviderOptions(kind="sandbox")}, "the sandbox is inside the gateway"),
        ({"gemini": ProviderOptions(kind="openai", base_url="http://x/v1")}, "gemini means Google Gemini"),
        (
            {"moonshot": ProviderOptions(api_key=KEY), "moonshotai": ProviderOptions(api_key=KEY)},
            "are the same provider",
        ),
        ({"openai": ProviderOptions(api_key="with space")}, "printable ASCII"),
        ({"openai": ProviderOptions(api_key="line\r\nbreak")}, "printable ASCII"),
        ({"openai": ProviderOptions(api_key="")}, "printable ASCII"),
        ({"openai": ProviderOptions(api_key=KEY, base_url="ftp://x/v1")}, "must begin with http:// or https://"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(options: dict[str, ProviderOptions], told: str) -> None:
    message = refused(options)
    assert told in message
    assert message.startswith("providers.")


def test_no_printing_of_an_upstream_shows_its_key() -> None:
    upstream = one("openai")
    printed = io.StringIO()
    rich.console.Console(file=printed, width=200).print(upstream)
    for text in (repr(upstream), str(upstream), f"{upstream}", printed.getvalue()):
        assert KEY not in text
        assert "Secret(" in text


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.id)
def test_every_row_can_be_configured(row: Provider) -> None:
    if row in SANDBOXES:
        assert configured({row.id: ProviderOptions()}, {})[row.id].row is row
        return
    options = ProviderOptions(api_key=KEY, base_url=None if row.base_url else "https://customer.example/v1")
    upstream = configured({row.id: options}, {"AWS_REGION": "eu-central-1"})[row.id]
    assert len(upstream.headers) == 1
    assert upstream.row.dialect is row.dialect


class TestClouds:
    def test_a_cloud_that_signs_has_no_header_and_gets_its_signer_from_a_transport(self) -> None:
        given = ProviderOptions(region="us-east-1", access_key_id="AKID", secret_access_key=KEY)
        upstreams = configured({"aws": given}, {})
        aws = upstreams["aws"]
        assert (aws.headers, aws.secret, aws.signer, aws.path_prefix) == ((), None, None, b"")
        assert aws.row.base_url == "https://bedrock-runtime.us-east-1.amazonaws.com"
        assert aws.secrets == (Secret(KEY),)
        ready = with_signers(upstreams, HttpTransport(TransportOptions()))
        assert isinstance(ready["aws"].signer, AwsSigner)
        assert ready["sandbox"] is upstreams["sandbox"], "nothing else changes"
        assert KEY not in repr(ready["aws"])

    def test_a_cloud_with_a_key_is_as_any_other(self) -> None:
        bedrock = configured({"aws": ProviderOptions(region="us-east-1", api_key=KEY)}, {})["aws"]
        assert (bedrock.headers, bedrock.identity) == (((b"authorization", b"Bearer " + KEY.encode()),), None)
        assert bedrock.secrets == (Secret(KEY),)
        azure = configured(
            {"azure": ProviderOptions(base_url="https://me.openai.azure.com", api_version="2024-10-21", api_key=KEY)},
            {},
        )["azure"]
        assert (azure.path_prefix, azure.api_version) == (b"/openai", "2024-10-21")
        assert azure.headers == ((b"api-key", KEY.encode()),)
        vertex = configured({"vertex": ProviderOptions(api_key=KEY)}, {})["vertex"]
        assert vertex.headers == ((b"x-goog-api-key", KEY.encode()),)

    def test_the_environment_alone_is_enough_when_it_says_where_and_who(self) -> None:
        environment = {
            "AWS_BEARER_TOKEN_BEDROCK": KEY,
            "AWS_REGION": "eu-west-1",
            "AZURE_OPENAI_API_KEY": KEY,
            "AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/",
        }
        upstreams = configured({}, environment)
        assert upstreams["aws"].origin.host == "bedrock-runtime.eu-west-1.amazonaws.com"
        assert upstreams["azure"].path_prefix == b"/openai/v1"

    @pytest.mark.parametrize(
        "environment",
        [
            {"AWS_BEARER_TOKEN_BEDROCK": KEY},
            {"AZURE_OPENAI_API_KEY": KEY},
            {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "us-east-1"},
            {"GOOGLE_APPLICATION_CREDENTIALS": "{}", "GOOGLE_CLOUD_PROJECT": "p"},
        ],
    )
    def test_what_is_there_for_other_programs_configures_nothing(self, environment: dict[str, str]) -> None:
        assert list(configured({}, environment)) == IDS

    @pytest.mark.parametrize(
        ("name", "field"),
        [
            ("openai", "region"),
            ("openai", "use_metadata"),
            ("aws", "project"),
            ("vertex", "region"),
            ("azure", "location"),
        ],
    )
    def test_a_setting_of_another_cloud_is_refused(self, name: str, field: str) -> None:
        value = True if field == "use_metadata" else "x"
        told = refused({name: ProviderOptions(api_key=KEY, **{field: value})})  # type: ignore[arg-type]  # real fields
        assert told.startswith(f"providers.{name}.{field}: ")
        assert told.endswith("has no use for it")

    def test_two_accounts_of_one_cloud_are_two_providers(self) -> None:
        upstreams = configured(
            {
                "aws": ProviderOptions(region="us-east-1", api_key="k1"),
                "other-account": ProviderOptions(kind="aws", region="eu-west-1", api_key="k2"),
            },
            {},
        )
        assert upstreams["other-account"].origin.host == "bedrock-runtime.eu-west-1.amazonaws.com"
        assert upstreams["other-account"].row.id == "aws"


@pytest.mark.parametrize(
    "written", ["https://c.example", "https://c.example/compatibility/v1", "https://c.example/v2/"]
)
def test_a_base_url_may_be_written_as_any_of_its_protocols_clients_want_it(written: str) -> None:
    upstream = configured({"cohere": ProviderOptions(base_url=written, api_key=KEY)}, {})["cohere"]
    assert (upstream.origin.host, upstream.path_prefix) == ("c.example", b"")
