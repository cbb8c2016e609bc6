"""Bedrock: which credential counts, where calls go, and that they are signed for that place alone."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

import pytest

from tests.providers.token_server import TokenServer
from trunkline import clock
from trunkline.errors import Defect, SettingsInvalid
from trunkline.observe import Secret
from trunkline.providers import bedrock, sigv4
from trunkline.providers.aws_credentials import AssumedRole, Container, GivenKeys, Instance, Source, WebIdentity
from trunkline.providers.bedrock import AwsIdentity
from trunkline.providers.pool import HttpTransport
from trunkline.providers.provider_options import Place, Placed, ProviderOptions
from trunkline.providers.sigv4 import Keys, Scope
from trunkline.providers.transport import Origin, Timers, TransportOptions, UpstreamRequest

if TYPE_CHECKING:
    from tests.providers.conftest import Loopback

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ROLE = "arn:aws:iam::123456789012:role/gateway"
PAIR = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": SECRET}
OWN = {"region": "us-east-1", "access_key_id": "AKIDOWN", "secret_access_key": SECRET}
WEB = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"}


def placed(given: Mapping[str, object], usual_key: str | None = None, **environment: str) -> Placed:
    options = ProviderOptions(**given)  # type: ignore[arg-type]  # the test names real fields
    return bedrock.place(Place("aws", "providers.aws", options, environment, usual_key))


def refused(given: Mapping[str, object], **environment: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        placed(given, **environment)
    assert SECRET not in caught.value.message
    assert caught.value.param is not None
    assert caught.value.message.startswith(caught.value.param)
    return caught.value.message


def identity(given: Mapping[str, object], usual_key: str | None = None, **environment: str) -> AwsIdentity:
    found = placed(given, usual_key, **environment).identity
    assert isinstance(found, AwsIdentity)
    return found


def source(given: Mapping[str, object], usual_key: str | None = None, **environment: str) -> Source:
    return identity(given, usual_key, **environment).source


@pytest.mark.parametrize(
    ("given", "environment", "base_url", "scope"),
    [
        ({}, {"AWS_REGION": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1"),
        ({}, {"AWS_DEFAULT_REGION": "us-west-2"}, "https://bedrock-runtime.us-west-2.amazonaws.com", "us-west-2"),
        (
            {"region": "us-gov-west-1"},
            {"AWS_REGION": "eu-west-1"},
            "https://bedrock-runtime.us-gov-west-1.amazonaws.com",
            "us-gov-west-1",
        ),
        ({"region": "cn-north-1"}, {}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ({"region": "eusc-de-east-1"}, {}, "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        (
            {"base_url": "https://bedrock-runtime.ap-south-1.amazonaws.com/openai/v1/"},
            {"AWS_REGION": "eu-west-1"},
            "https://bedrock-runtime.ap-south-1.amazonaws.com",
            "ap-south-1",
        ),
        (
            {"base_url": "https://vpce-1-x.bedrock-runtime.us-east-1.vpce.amazonaws.com"},
            {},
            "https://vpce-1-x.bedrock-runtime.us-east-1.vpce.amazonaws.com",
            "us-east-1",
        ),
        ({"base_url": "http://127.0.0.1:9/x", "region": "us-east-1"}, {}, "http://127.0.0.1:9/x", "us-east-1"),
    ],
)
def test_the_region_says_where(
    given: Mapping[str, object], environment: dict[str, str], base_url: str, scope: str
) -> None:
    found = placed(given, **environment, **PAIR)
    assert found.base_url == base_url
    assert isinstance(found.identity, AwsIdentity)
    assert found.identity.scope == Scope(scope, "bedrock")


def test_the_other_endpoint_is_signed_for_by_its_own_name() -> None:
    found = identity({"base_url": "https://bedrock-mantle.us-east-1.api.aws/openai/v1"}, **PAIR)
    assert found.scope == Scope("us-east-1", "bedrock-mantle")


def test_a_bedrock_key_rides_in_a_header_and_nothing_is_signed() -> None:
    assert placed({"region": "us-east-1", "api_key": "bedrock-key"}, **PAIR).key == "bedrock-key"
    found = placed({"region": "us-east-1"}, "usual", **PAIR)
    assert (found.key, found.identity) == ("usual", None)
    elsewhere = placed({"base_url": "https://llm.example/x", "api_key": "k"})
    assert elsewhere == Placed(base_url="https://llm.example/x", key="k"), "a region is only for what signs"


def test_what_the_settings_name_counts_before_the_environment() -> None:
    own = source(OWN, "usual", AWS_SESSION_TOKEN="of-the-other-pair", **PAIR)
    assert own == GivenKeys(Keys("AKIDOWN", Secret(SECRET)))
    assert source({**OWN, "session_token": "t"}) == GivenKeys(Keys("AKIDOWN", Secret(SECRET), Secret("t")))
    env = source({"region": "us-east-1"}, AWS_SESSION_TOKEN="t", **PAIR, **WEB)
    assert env == GivenKeys(Keys("AKIDENV", Secret(SECRET), Secret("t")))


def test_a_role_is_assumed_with_what_is_there() -> None:
    own = source({**OWN, "role_arn": ROLE})
    assert isinstance(own, AssumedRole)
    assert own.by == GivenKeys(Keys("AKIDOWN", Secret(SECRET)))
    assert own.sts.origin == Origin("https", "sts.us-east-1.amazonaws.com", 443)
    assert own.sts.proxy
    machine = source({"region": "us-east-1", "role_arn": ROLE, "use_metadata": True}, **PAIR)
    assert isinstance(machine, AssumedRole)
    assert isinstance(machine.by, Instance)


def test_a_web_identity_is_exchanged_for_its_role() -> None:
    env = source({"region": "cn-north-1"}, **WEB)
    assert isinstance(env, WebIdentity)
    assert (env.role_arn, env.token_file) == (ROLE, "/var/run/token")
    assert env.sts.origin.host == "sts.cn-north-1.amazonaws.com.cn"
    own = source({"region": "us-east-1", "role_arn": ROLE, "web_identity_token_file": "/own"}, **PAIR)
    assert isinstance(own, WebIdentity)
    assert own.token_file == "/own"


def test_metadata_is_asked_only_when_the_settings_say_so() -> None:
    where = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/abc"}
    assert "missing" in refused({"region": "us-east-1"}, **where)
    asking: dict[str, object] = {"region": "us-east-1", "use_metadata": True}
    container = source(asking, AWS_CONTAINER_AUTHORIZATION_TOKEN="t", **where, **PAIR)
    assert container == Container("aws", Origin("http", "169.254.170.2", 80), b"/v2/credentials/abc", Secret("t"), None)
    assert source(asking, **PAIR) == Instance("aws", Origin("http", "169.254.169.254", 80))
    moved = source(asking, AWS_EC2_METADATA_SERVICE_ENDPOINT="http://[fd00:ec2::254]/")
    assert moved == Instance("aws", Origin("http", "fd00:ec2::254", 80))
    pod = source(asking, AWS_CONTAINER_CREDENTIALS_FULL_URI="http://169.254.170.23/v1/credentials")
    assert isinstance(pod, Container)
    assert pod.origin.host == "169.254.170.23"


@pytest.mark.parametrize(
    ("given", "environment", "told"),
    [
        ({}, PAIR, "providers.aws.region is missing; set it, or AWS_REGION in the environment"),
        ({"region": "us-east-1"}, {}, "AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ({"region": "x@evil.example/"}, PAIR, "a region looks like us-east-1"),
        ({"region": "us-east-1.evil"}, PAIR, "a region looks like us-east-1"),
        ({"region": "us-east-1", "access_key_id": "AKID"}, PAIR, "set together"),
        ({"region": "us-east-1", "secret_access_key": SECRET}, PAIR, "set together"),
        ({**OWN, "api_key": "k"}, {}, "access_key_id is another"),
        ({"region": "us-east-1", "api_key": "k", "use_metadata": True}, {}, "use_metadata is another"),
        ({**OWN, "use_metadata": True}, {}, "another credential"),
        ({"region": "us-east-1", "role_arn": ROLE}, {}, "access_key_id is missing"),
        ({"region": "us-east-1", "web_identity_token_file": "/x"}, {}, "role_arn is missing"),
        ({**OWN, "role_arn": ROLE, "token_url": "http://sts.example"}, {}, "must begin with https://"),
        (
            {"region": "us-east-1", "use_metadata": True},
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://evil.example/x"},
            "neither https nor a known agent",
        ),
        ({**OWN, "base_url": "https://a b"}, {}, "a character that a URL cannot"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(
    given: Mapping[str, object], environment: dict[str, str], told: str
) -> None:
    assert told in refused(given, **environment)


def test_a_server_of_ones_own_needs_no_credential() -> None:
    found = placed({"base_url": "http://127.0.0.1:9", "region": "us-east-1"})
    assert found == Placed(base_url="http://127.0.0.1:9")


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    opened = HttpTransport(TransportOptions())
    yield opened
    await opened.close()


@pytest.fixture
async def server(loopback: Loopback) -> TokenServer:
    return await TokenServer().start(loopback)


def converse(origin: Origin) -> UpstreamRequest:
    return UpstreamRequest(
        origin=origin,
        target=b"/model/us.x-v1%3A0/converse",
        headers=[(b"content-type", b"application/json"), (b"user-agent", b"trunkline")],
        body=b"{}",
        timers=Timers(),
    )


async def test_what_arrives_has_the_signature_that_a_verifier_makes_of_it(
    server: TokenServer, transport: HttpTransport
) -> None:
    """The other side's reckoning, from the bytes on the wire: host and all."""
    server.answers["/model/us.x-v1%3A0/converse"] = (200, b"{}")
    found = identity({**OWN, "base_url": server.url})
    response = await transport.send(await found.signer(transport).sign(converse(server.origin)))
    assert (response.status, await response.read(10)) == (200, b"{}")
    (asked,) = server.asked
    names = re.search("SignedHeaders=([^,]*)", asked.headers["authorization"])
    assert names is not None
    headers = [(name.encode(), asked.headers[name].encode()) for name in names[1].split(";")]
    canonical = sigv4.canonical_request(asked.method.encode(), asked.target.encode(), headers, asked.body)
    text = sigv4.string_to_sign(canonical, asked.headers["x-amz-date"], Scope("us-east-1", "bedrock"))
    day = asked.headers["x-amz-date"][:8]
    key = sigv4._signing_key(Secret(SECRET), day, Scope("us-east-1", "bedrock"))
    assert asked.headers["authorization"].endswith(sigv4.signature(key, text))


async def test_a_credential_that_ends_is_fetched_once_and_again_when_it_has_ended(
    server: TokenServer, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [946_684_800.0]
    monkeypatch.setattr(clock, "now_s", lambda: now_s[0])
    said = {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "t", "Expiration": "2000-01-01T01:00:00Z"}
    server.answers["/c"] = (200, json.dumps(said).encode(), b"Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n")
    given: Mapping[str, object] = {"region": "us-east-1", "use_metadata": True}
    found = identity(given, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{server.url}/c")
    signer = found.signer(transport)
    signed = [await signer.sign(converse(found.origin)) for _ in range(3)]
    assert all((b"x-amz-security-token", b"t") in one.headers for one in signed)
    assert len(server.asked) == 1
    now_s[0] += 3600
    await signer.sign(converse(found.origin))
    assert len(server.asked) == 2


async def test_nothing_is_signed_for_another_origin(transport: HttpTransport) -> None:
    signer = identity(OWN).signer(transport)
    with pytest.raises(Defect):
        await signer.sign(converse(Origin("https", "evil.example", 443)))


async def test_a_body_that_is_not_held_is_not_signed(transport: HttpTransport) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    found = identity(OWN)
    asked = converse(found.origin)
    asked.stream_body = pieces()
    with pytest.raises(Defect):
        await found.signer(transport).sign(asked)


def test_an_identity_prints_no_secret() -> None:
    found = identity({**OWN, "session_token": "the-session-token", "role_arn": ROLE})
    assert SECRET not in repr(found)
    assert "the-session-token" not in repr(found)
    assert found.secrets == (Secret(SECRET), Secret("the-session-token"))
