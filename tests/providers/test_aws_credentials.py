"""AWS's access keys from STS and the metadata servers, over real HTTP."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.providers.token_server import Answer, Asked, TokenServer
from trunkline.errors import UpstreamAccount, UpstreamFailed
from trunkline.observe import Secret
from trunkline.providers.aws_credentials import (
    AssumedRole,
    Container,
    GivenKeys,
    Instance,
    Session,
    Source,
    Sts,
    WebIdentity,
)
from trunkline.providers.pool import HttpTransport
from trunkline.providers.sigv4 import Keys
from trunkline.providers.transport import TransportOptions

if TYPE_CHECKING:
    from tests.providers.conftest import Loopback

OWN = GivenKeys(Keys("AKIDEXAMPLE", Secret("own-secret-of-the-settings")))
GIVEN = Keys("ASIAEXAMPLE", Secret("a-secret/that+ends"), Secret("session//token=="))
ROLE = "arn:aws:iam::123456789012:role/gateway"
DATE = b"Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
ENDS = "2000-01-01T01:00:00Z"
# Shortened from https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
STS_ANSWER = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
  <Credentials>
    <SessionToken>session//token==</SessionToken>
    <SecretAccessKey>a-secret/that+ends</SecretAccessKey>
    <Expiration>{ENDS}</Expiration>
    <AccessKeyId>ASIAEXAMPLE</AccessKeyId>
  </Credentials>
</AssumeRoleResult></AssumeRoleResponse>""".encode()


def metadata(**changes: object) -> bytes:
    said = {
        "Code": "Success",
        "LastUpdated": "2000-01-01T00:00:00Z",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "a-secret/that+ends",
        "Token": "session//token==",
        "Expiration": ENDS,
    }
    return json.dumps(said | changes).encode()


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    opened = HttpTransport(TransportOptions())
    yield opened
    await opened.close()


@pytest.fixture
async def server(loopback: Loopback) -> TokenServer:
    return await TokenServer().start(loopback)


def sts(server: TokenServer) -> Sts:
    return Sts("aws", server.origin, "eu-west-1", proxy=False)


def instance(server: TokenServer) -> Instance:
    """A machine with the role `gateway`, whose metadata server wants a session."""

    def inside(asked: Asked, answer: Answer) -> Answer:
        return answer if asked.headers.get("x-aws-ec2-metadata-token") == "imds-session" else (401, b"")

    def opened(asked: Asked) -> Answer:
        right = asked.method == "PUT" and asked.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "").isdigit()
        return (200, b"imds-session") if right else (400, b"")

    roles = "/latest/meta-data/iam/security-credentials/"
    server.answers["/latest/api/token"] = opened
    server.answers[roles] = lambda asked: inside(asked, (200, b"gateway\nother"))
    server.answers[roles + "gateway"] = lambda asked: inside(asked, (200, metadata(), DATE))
    return Instance("aws", server.origin)


async def test_keys_of_the_settings_are_there_at_once(transport: HttpTransport) -> None:
    assert await OWN.fetch(transport) == Session(OWN.keys, math.inf)


async def test_the_machines_metadata_server(server: TokenServer, transport: HttpTransport) -> None:
    assert await instance(server).fetch(transport) == Session(GIVEN, 3600.0)
    assert [asked.method for asked in server.asked] == ["PUT", "GET", "GET"]


async def test_a_machine_without_a_role_has_no_credential(server: TokenServer, transport: HttpTransport) -> None:
    source = instance(server)
    server.answers["/latest/meta-data/iam/security-credentials/"] = (404, b"")
    with pytest.raises(UpstreamAccount):
        await source.fetch(transport)


@pytest.mark.parametrize("said", [b"", b"two words", b"gate\x00way", b"x" * 5000])
async def test_what_is_no_role_is_not_asked_for(server: TokenServer, transport: HttpTransport, said: bytes) -> None:
    source = instance(server)
    server.answers["/latest/meta-data/iam/security-credentials/"] = (200, said)
    with pytest.raises(UpstreamFailed, match="did not answer with a credential"):
        await source.fetch(transport)
    assert len(server.asked) == 2


async def test_the_agent_of_a_container(server: TokenServer, transport: HttpTransport, tmp_path: Path) -> None:
    server.answers["/v2/credentials/abc"] = (200, metadata(), DATE)
    plain = Container("aws", server.origin, b"/v2/credentials/abc")
    assert await plain.fetch(transport) == Session(GIVEN, 3600.0)
    with_token = Container("aws", server.origin, b"/v2/credentials/abc", Secret("agent-token"))
    await with_token.fetch(transport)
    file = tmp_path / "token"
    file.write_text("file-token\n", encoding="utf-8")
    with_file = Container("aws", server.origin, b"/v2/credentials/abc", Secret("agent-token"), str(file))
    await with_file.fetch(transport)
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, "agent-token", "file-token"]


async def test_a_role_is_assumed_with_signed_words(server: TokenServer, transport: HttpTransport) -> None:
    server.answers["/"] = (200, STS_ANSWER, DATE)
    assert await AssumedRole(sts(server), ROLE, OWN).fetch(transport) == Session(GIVEN, 3600.0)
    (asked,) = server.asked
    assert asked.form["Action"] == "AssumeRole"
    assert asked.form["RoleArn"] == ROLE
    assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date," in asked.headers["authorization"]


async def test_a_role_is_assumed_with_what_the_machine_has(server: TokenServer, transport: HttpTransport) -> None:
    server.answers["/"] = (200, STS_ANSWER, DATE)
    await AssumedRole(sts(server), ROLE, instance(server)).fetch(transport)
    assert server.asked[-1].headers["x-amz-security-token"] == "session//token=="


async def test_a_web_identity_is_read_anew_each_time(
    server: TokenServer, transport: HttpTransport, tmp_path: Path
) -> None:
    server.answers["/"] = (200, STS_ANSWER, DATE)
    file = tmp_path / "token"
    source = WebIdentity(sts(server), ROLE, str(file))
    for text in ("eyJ.first.x", "eyJ.second.x"):
        file.write_text(text + "\n", encoding="utf-8")
        assert await source.fetch(transport) == Session(GIVEN, 3600.0)
    assert [asked.form["WebIdentityToken"] for asked in server.asked] == ["eyJ.first.x", "eyJ.second.x"]
    assert all(asked.form["Action"] == "AssumeRoleWithWebIdentity" for asked in server.asked)
    assert not any("authorization" in asked.headers for asked in server.asked)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"a\nb", "é".encode()])
async def test_a_token_file_that_cannot_be_used_is_told_without_its_content(
    server: TokenServer, transport: HttpTransport, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UpstreamAccount, match="token file of the provider aws"):
        await WebIdentity(sts(server), ROLE, str(file)).fetch(transport)
    assert not server.asked


async def test_a_role_that_is_refused_shows_no_secret(server: TokenServer, transport: HttpTransport) -> None:
    server.answers["/"] = (
        403,
        b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>AKIDEXAMPLE own-secret-of-the-settings</Message>",
    )
    with capture_logs() as lines, pytest.raises(UpstreamAccount) as caught:
        await AssumedRole(sts(server), ROLE, instance(server)).fetch(transport)
    assert "AccessDenied" not in caught.value.message
    assert "session//token" not in repr(lines) + caught.value.message


async def test_how_long_it_holds_is_reckoned_by_the_giver(server: TokenServer, transport: HttpTransport) -> None:
    """Our own clock says a quarter of a century later."""
    server.answers["/c"] = (200, metadata(Expiration="2000-01-01T00:15:00+00:00"), DATE)
    assert (await Container("aws", server.origin, b"/c").fetch(transport)).lifetime_s == 900.0


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b"{}",
        metadata(AccessKeyId=None),
        metadata(AccessKeyId=""),
        metadata(Token="a\r\nb"),
        metadata(SecretAccessKey="a b"),
        metadata(Expiration="soon"),
        metadata(Expiration="1999-12-31T23:59:59Z"),
        metadata(Expiration="2000-01-01T00:00:00Z"),
        b'{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role"}',
    ],
)
async def test_what_is_no_credential_is_none(server: TokenServer, transport: HttpTransport, said: bytes) -> None:
    server.answers["/c"] = (200, said, DATE)
    with pytest.raises(UpstreamFailed, match="did not answer with a credential"):
        await Container("aws", server.origin, b"/c").fetch(transport)


@pytest.mark.parametrize("missing", [b"SessionToken", b"SecretAccessKey", b"Expiration", b"AccessKeyId"])
async def test_an_answer_of_sts_has_all_four(server: TokenServer, transport: HttpTransport, missing: bytes) -> None:
    server.answers["/"] = (200, STS_ANSWER.replace(missing, b"Other"), DATE)
    with pytest.raises(UpstreamFailed, match="did not answer with a credential"):
        await AssumedRole(sts(server), ROLE, OWN).fetch(transport)


def test_no_source_prints_a_secret() -> None:
    agent = Container("aws", sts_nowhere().origin, b"/", Secret("agent-token"))
    sources: list[Source] = [OWN, AssumedRole(sts_nowhere(), ROLE, OWN), agent, Instance("aws", sts_nowhere().origin)]
    printed = repr([*sources, Session(GIVEN, 1.0)])
    for secret in ("own-secret-of-the-settings", "agent-token", "that+ends", "session//token"):
        assert secret not in printed
    assert [len(source.secrets) for source in sources] == [1, 1, 1, 0]


def sts_nowhere() -> Sts:
    return Sts("aws", TokenServer().origin, "eu-west-1", proxy=False)
