"""Azure OpenAI: both styles of URL, keys, and tokens of Entra over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pytest
from structlog.testing import capture_logs

from tests.providers.token_server import TokenServer, token
from trunkline.errors import Defect, SettingsInvalid, UpstreamAccount
from trunkline.observe import Secret
from trunkline.providers import azure
from trunkline.providers.azure import EntraIdentity
from trunkline.providers.pool import HttpTransport
from trunkline.providers.provider_options import Place, Placed, ProviderOptions
from trunkline.providers.transport import Origin, Timers, TransportOptions, UpstreamRequest

if TYPE_CHECKING:
    from tests.providers.conftest import Loopback

SECRET = "entra~client.secret-canary"
ENDPOINT = "https://me.openai.azure.com"
ENTRA = {"tenant_id": "t-1", "client_id": "c-1", "client_secret": SECRET}
ENTRA_ENVIRONMENT = {"AZURE_TENANT_ID": "t-2", "AZURE_CLIENT_ID": "c-2", "AZURE_CLIENT_SECRET": SECRET}


def placed(given: Mapping[str, object], usual_key: str | None = None, **environment: str) -> Placed:
    options = ProviderOptions(**given)  # type: ignore[arg-type]  # the test names real fields
    return azure.place(Place("azure", "providers.azure", options, environment, usual_key))


def identity(given: Mapping[str, object], **environment: str) -> EntraIdentity:
    found = placed({"base_url": ENDPOINT, **given}, **environment).identity
    assert isinstance(found, EntraIdentity)
    return found


@pytest.mark.parametrize(
    ("base_url", "api_version", "used"),
    [
        (ENDPOINT, None, f"{ENDPOINT}/openai/v1"),
        (f"{ENDPOINT}/", None, f"{ENDPOINT}/openai/v1"),
        (f"{ENDPOINT}/openai", None, f"{ENDPOINT}/openai/v1"),
        (f"{ENDPOINT}/openai/v1/", None, f"{ENDPOINT}/openai/v1"),
        (f"{ENDPOINT}/openai/v1", "preview", f"{ENDPOINT}/openai/v1"),
        (ENDPOINT, "preview", f"{ENDPOINT}/openai/v1"),
        (ENDPOINT, "2024-10-21", f"{ENDPOINT}/openai"),
        (f"{ENDPOINT}/openai/", "2024-10-21", f"{ENDPOINT}/openai"),
        ("https://apim.example/llm", None, "https://apim.example/llm"),
        ("https://apim.example/llm", "2024-10-21", "https://apim.example/llm/openai"),
        ("https://customer.example/v1", None, "https://customer.example/v1"),
        ("http://127.0.0.1:8000", "2024-10-21", "http://127.0.0.1:8000/openai"),
    ],
)
def test_both_styles_of_url(base_url: str, api_version: str | None, used: str) -> None:
    found = placed({"base_url": base_url, "api_version": api_version, "api_key": "k"})
    assert (found.base_url, found.api_version) == (used, api_version)


def test_the_environment_fills_what_the_settings_leave_open() -> None:
    found = placed({}, "usual", AZURE_OPENAI_ENDPOINT=ENDPOINT, OPENAI_API_VERSION="2024-10-21")
    assert found == Placed(base_url=f"{ENDPOINT}/openai", key="usual", api_version="2024-10-21")
    v1 = placed({"base_url": f"{ENDPOINT}/openai/v1"}, "usual", OPENAI_API_VERSION="2024-10-21")
    assert v1 == Placed(base_url=f"{ENDPOINT}/openai/v1", key="usual")


def test_a_key_counts_before_an_application_of_the_environment_and_after_one_of_the_settings() -> None:
    assert placed({"base_url": ENDPOINT}, "usual", **ENTRA_ENVIRONMENT).identity is None
    assert placed({"base_url": ENDPOINT, **ENTRA}, "usual").key is None
    found = identity({}, **ENTRA_ENVIRONMENT)
    assert found.who == azure.Application("c-2", Secret(SECRET))
    assert placed({"base_url": ENDPOINT}) == Placed(base_url=f"{ENDPOINT}/openai/v1")


@pytest.mark.parametrize(
    ("base_url", "authority", "resource"),
    [
        (ENDPOINT, "login.microsoftonline.com", "https://cognitiveservices.azure.com"),
        ("https://me.openai.azure.us", "login.microsoftonline.us", "https://cognitiveservices.azure.us"),
        ("https://me.openai.azure.cn", "login.chinacloudapi.cn", "https://cognitiveservices.azure.cn"),
    ],
)
def test_each_cloud_has_its_own_sign_in(base_url: str, authority: str, resource: str) -> None:
    found = identity({**ENTRA, "base_url": base_url})
    assert found.asks == Origin("https", authority, 443)
    assert found.target == b"/t-1/oauth2/v2.0/token"
    assert found.resource == resource
    assert found.proxy
    moved = identity({**ENTRA, "base_url": base_url}, AZURE_AUTHORITY_HOST="https://login.example")
    assert moved.asks.host == "login.example"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {},
            "(it looks like https://RESOURCE.openai.azure.com/openai/v1), or AZURE_OPENAI_ENDPOINT in the environment",
        ),
        ({"base_url": ENDPOINT, "api_version": "2024-10-21&x=y"}, "looks like 2024-10-21"),
        ({"base_url": f"{ENDPOINT}/openai/v1", "api_version": "2024-10-21"}, "takes no dated version"),
        ({"base_url": ENDPOINT, **ENTRA, "api_key": "k"}, "api_key: the settings hold another"),
        ({"base_url": ENDPOINT, "use_metadata": True, "api_key": "k"}, "api_key: the settings hold another"),
        ({"base_url": ENDPOINT, "use_metadata": True, **ENTRA}, "client_secret is another"),
        ({"base_url": ENDPOINT, "client_secret": SECRET}, "set together"),
        ({"base_url": ENDPOINT, **ENTRA, "tenant_id": "a/../b"}, "a tenant is an id or a domain"),
        ({"base_url": ENDPOINT, **ENTRA, "token_url": "http://login.example/t"}, "must begin with https://"),
        ({"base_url": "ftp://x", "api_key": "k"}, "must begin with http:// or https://"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(given: Mapping[str, object], told: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        placed(given)
    assert told in caught.value.message
    assert caught.value.message.startswith("providers.azure.")
    assert SECRET not in caught.value.message


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    opened = HttpTransport(TransportOptions())
    yield opened
    await opened.close()


@pytest.fixture
async def server(loopback: Loopback) -> TokenServer:
    return await TokenServer().start(loopback)


async def bearer(found: EntraIdentity, transport: HttpTransport) -> list[tuple[bytes, bytes]]:
    asked = UpstreamRequest(origin=found.origin, target=b"/x", headers=[], timers=Timers())
    return (await found.signer(transport).sign(asked)).headers


async def test_an_application_gets_a_token_for_its_secret(server: TokenServer, transport: HttpTransport) -> None:
    server.answers["/t-1/oauth2/v2.0/token"] = token("eyJ.entra.x")
    found = identity(ENTRA, AZURE_AUTHORITY_HOST=server.url)
    assert await bearer(found, transport) == [(b"authorization", b"Bearer eyJ.entra.x")]
    assert server.asked[0].form == {
        "grant_type": "client_credentials",
        "client_id": "c-1",
        "client_secret": SECRET,
        "scope": "https://cognitiveservices.azure.com/.default",
    }


async def test_a_machine_of_azures_asks_its_metadata_server(server: TokenServer, transport: HttpTransport) -> None:
    server.answers["/metadata/identity/oauth2/token"] = token("eyJ.managed.x", "86399")
    found = identity({"use_metadata": True, "client_id": "mine", "token_url": server.url})
    assert await bearer(found, transport) == [(b"authorization", b"Bearer eyJ.managed.x")]
    (asked,) = server.asked
    assert asked.headers["metadata"] == "true"
    assert dict(parse_qsl(asked.target.partition("?")[2])) == {
        "api-version": "2018-02-01",
        "resource": "https://cognitiveservices.azure.com",
        "client_id": "mine",
    }
    assert identity({"use_metadata": True}).asks == Origin("http", "169.254.169.254", 80)


async def test_a_refusal_shows_no_secret(server: TokenServer, transport: HttpTransport) -> None:
    said = f'{{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret {SECRET}"}}'
    server.answers["/t-1/oauth2/v2.0/token"] = (401, said.encode())
    found = identity(ENTRA, AZURE_AUTHORITY_HOST=server.url)
    with capture_logs() as lines, pytest.raises(UpstreamAccount) as caught:
        await bearer(found, transport)
    assert SECRET not in caught.value.message + repr(lines)
    assert "AADSTS7000215" in repr(lines)


async def test_a_token_is_sent_to_its_own_origin_alone(transport: HttpTransport) -> None:
    evil = UpstreamRequest(origin=Origin("https", "evil.example", 443), target=b"/", headers=[], timers=Timers())
    with pytest.raises(Defect):
        await identity(ENTRA).signer(transport).sign(evil)


def test_an_identity_prints_no_secret() -> None:
    assert SECRET not in repr(identity(ENTRA))
    assert identity(ENTRA).secrets == (Secret(SECRET),)
