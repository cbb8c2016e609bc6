"""Vertex AI: which credential counts, where calls go, and the tokens they carry, over real HTTP."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from structlog.testing import capture_logs

from tests.providers.token_server import TokenServer, token
from trunkline import clock
from trunkline.errors import Defect, SettingsInvalid, UpstreamAccount, UpstreamFailed
from trunkline.providers import vertex
from trunkline.providers.pool import HttpTransport
from trunkline.providers.provider_options import Place, Placed, ProviderOptions
from trunkline.providers.transport import Origin, Timers, TransportOptions, UpstreamRequest
from trunkline.providers.vertex import CREDENTIALS_FILE, GoogleIdentity

if TYPE_CHECKING:
    from tests.providers.conftest import Loopback

REFRESH = "1//refresh-token-canary"
SECRET = "GOCSPX-client-secret-canary"
PROJECT = {"project": "my-project"}
FEDERATED = json.dumps({"type": "external_account", "x": SECRET})


@functools.cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def account(**changes: object) -> str:
    said = {
        "type": "service_account",
        "project_id": "of-the-account",
        "private_key_id": "key-1",
        "private_key": pem(key()),
        "client_email": "gateway@of-the-account.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps(said | changes)


def user(**changes: object) -> str:
    said = {"type": "authorized_user", "client_id": "c", "client_secret": SECRET, "refresh_token": REFRESH}
    return json.dumps(said | changes)


def placed(given: Mapping[str, object], usual_key: str | None = None, **environment: str) -> Placed:
    options = ProviderOptions(**given)  # type: ignore[arg-type]  # the test names real fields
    return vertex.place(Place("vertex", "providers.vertex", options, environment, usual_key))


def identity(given: Mapping[str, object], **environment: str) -> GoogleIdentity:
    found = placed(given, **environment).identity
    assert isinstance(found, GoogleIdentity)
    return found


@pytest.mark.parametrize(
    ("location", "host"),
    [
        (None, "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_the_location_says_where(location: str | None, host: str) -> None:
    found = placed({**PROJECT, "location": location, "google_credentials": user()})
    assert found.base_url == f"https://{host}/v1/projects/my-project/locations/{location or 'global'}"
    assert isinstance(found.identity, GoogleIdentity)
    assert found.identity.origin == Origin("https", host, 443)


def test_the_project_is_that_of_the_settings_the_environment_or_the_account() -> None:
    def project(given: Mapping[str, object], **environment: str) -> str:
        return placed({"google_credentials": account(), **given}, **environment).base_url.split("/")[5]

    assert project(PROJECT, GOOGLE_CLOUD_PROJECT="env") == "my-project"
    assert project({}, GOOGLE_CLOUD_PROJECT="env") == "env"
    assert project({}, ANTHROPIC_VERTEX_PROJECT_ID="env") == "env"
    assert project({}) == "of-the-account"
    assert "locations/us-east5" in placed({"google_credentials": account()}, CLOUD_ML_REGION="us-east5").base_url


def test_a_key_rides_in_a_header_with_and_without_a_project() -> None:
    assert placed({"api_key": "k"}) == Placed(base_url="https://aiplatform.googleapis.com/v1", key="k")
    assert placed({}, "usual").key == "usual"
    assert placed({**PROJECT, "api_key": "k"}).base_url.endswith("/projects/my-project/locations/global")
    assert placed({"google_credentials": account()}, "usual").key is None


def test_the_file_of_the_environment_counts_when_the_settings_have_none() -> None:
    found = identity(PROJECT, **{CREDENTIALS_FILE: user()})
    assert isinstance(found.who, vertex.AuthorizedUser)
    found = identity({**PROJECT, "google_credentials": account()}, **{CREDENTIALS_FILE: user()})
    assert isinstance(found.who, vertex.ServiceAccount)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (PROJECT, "google_credentials is missing; set it, or GOOGLE_APPLICATION_CREDENTIALS"),
        ({"google_credentials": user()}, "project is missing; set it, or GOOGLE_CLOUD_PROJECT"),
        ({"project": "a/b", "google_credentials": user()}, "project: it has lower-case letters"),
        ({**PROJECT, "location": "evil.example/", "google_credentials": user()}, "location: it has lower-case"),
        ({**PROJECT, "api_key": "k", "use_metadata": True}, "api_key: the settings hold another"),
        ({**PROJECT, "google_credentials": user(), "use_metadata": True}, "google_credentials is another"),
        ({**PROJECT, "google_credentials": "nonsense " + SECRET}, "is not the JSON of a Google credential"),
        ({**PROJECT, "google_credentials": FEDERATED}, "no other is supported"),
        ({**PROJECT, "google_credentials": json.dumps({"client_secret": SECRET})}, "its type must be"),
        ({**PROJECT, "google_credentials": user(refresh_token=5)}, "a field of this authorized_user"),
        ({**PROJECT, "google_credentials": account(private_key=None)}, "a field of this service_account"),
        ({**PROJECT, "google_credentials": account(private_key=SECRET)}, "its private_key is no RSA key"),
        ({**PROJECT, "google_credentials": account(private_key=pem(ec.generate_private_key(ec.SECP256R1())))},
         "its private_key is no RSA key"),
        ({**PROJECT, "google_credentials": account(token_uri="http://evil.example/t")}, "must begin with https://"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_by_name(given: Mapping[str, object], told: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        placed(given)
    assert told in caught.value.message
    assert caught.value.message.startswith("providers.vertex.")
    for secret in (SECRET, REFRESH, "PRIVATE KEY"):
        assert secret not in caught.value.message


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    opened = HttpTransport(TransportOptions())
    yield opened
    await opened.close()


@pytest.fixture
async def server(loopback: Loopback) -> TokenServer:
    return await TokenServer().start(loopback)


async def bearer(found: GoogleIdentity, transport: HttpTransport) -> list[tuple[bytes, bytes]]:
    asked = UpstreamRequest(origin=found.origin, target=b"/x", headers=[], timers=Timers())
    return (await found.signer(transport).sign(asked)).headers


def unpacked(part: str) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return decoded


async def test_a_service_account_signs_an_assertion_that_its_key_verifies(
    server: TokenServer, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now_s", lambda: 1_800_000_000.5)
    server.answers["/token"] = token("ya29.from-google")
    found = identity({**PROJECT, "google_credentials": account(token_uri=f"{server.url}/token")})
    assert await bearer(found, transport) == [(b"authorization", b"Bearer ya29.from-google")]
    (asked,) = server.asked
    assert asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    header, claims, signature = asked.form["assertion"].split(".")
    assert unpacked(header) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert unpacked(claims) == {
        "iss": "gateway@of-the-account.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": f"{server.url}/token",
        "iat": 1_799_999_940,
        "exp": 1_800_003_540,
    }
    key().public_key().verify(
        base64.urlsafe_b64decode(signature + "=="), f"{header}.{claims}".encode(), PKCS1v15(), SHA256()
    )


async def test_a_user_shows_his_refresh_token_and_whose_quota_it_is(
    server: TokenServer, transport: HttpTransport
) -> None:
    server.answers["/token"] = token("ya29.x")
    given = {**PROJECT, "token_url": f"{server.url}/token", "google_credentials": user(quota_project_id="billed")}
    assert await bearer(identity(given), transport) == [
        (b"authorization", b"Bearer ya29.x"),
        (b"x-goog-user-project", b"billed"),
    ]
    assert server.asked[0].form == {
        "grant_type": "refresh_token",
        "client_id": "c",
        "client_secret": SECRET,
        "refresh_token": REFRESH,
    }


async def test_a_machine_of_googles_asks_its_metadata_server(server: TokenServer, transport: HttpTransport) -> None:
    server.answers["/computeMetadata/v1/instance/service-accounts/default/token"] = token("ya29.m")
    found = identity({**PROJECT, "use_metadata": True}, GCE_METADATA_HOST=f"127.0.0.1:{server.origin.port}")
    assert await bearer(found, transport) == [(b"authorization", b"Bearer ya29.m")]
    assert (server.asked[0].method, server.asked[0].headers["metadata-flavor"]) == ("GET", "Google")
    usual = identity({**PROJECT, "use_metadata": True})
    assert usual.asks == Origin("http", "metadata.google.internal", 80)
    assert not usual.proxy


async def test_a_refusal_shows_no_secret(server: TokenServer, transport: HttpTransport) -> None:
    server.answers["/token"] = (400, f'{{"error":"invalid_grant","error_description":"Bad {REFRESH}"}}'.encode())
    found = identity({**PROJECT, "token_url": f"{server.url}/token", "google_credentials": user()})
    with capture_logs() as lines, pytest.raises(UpstreamAccount) as caught:
        await bearer(found, transport)
    assert REFRESH not in caught.value.message + repr(lines)
    assert "invalid_grant" in repr(lines)
    server.answers["/token"] = (200, b"<html>sign in</html>")
    with pytest.raises(UpstreamFailed, match="did not answer with a credential"):
        await bearer(found, transport)


async def test_a_token_is_sent_to_its_own_origin_alone(transport: HttpTransport) -> None:
    signer = identity({**PROJECT, "google_credentials": user()}).signer(transport)
    evil = UpstreamRequest(origin=Origin("https", "evil.example", 443), target=b"/", headers=[], timers=Timers())
    with pytest.raises(Defect):
        await signer.sign(evil)


def test_no_identity_prints_a_secret() -> None:
    for text in (account(), user()):
        found = identity({**PROJECT, "google_credentials": text})
        printed = f"{found!r} {found.who!r} {ProviderOptions(google_credentials=text)!r}"
        for secret in (SECRET, REFRESH, "PRIVATE KEY"):
            assert secret not in printed
        assert found.secrets
