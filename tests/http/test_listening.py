from __future__ import annotations

import datetime as dt
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.http.raw import PATIENCE_S, Client, serving
from trunkline.errors import SettingsInvalid
from trunkline.http import listening
from trunkline.http.listening import ServerOptions

NETWORK: dict[str, Any] = {"host": "0.0.0.0"}
TLS: dict[str, Any] = {"tls_cert": "chain.pem", "tls_key": "key.pem"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "localhost"},
        {"host": "::1"},
        {"host": "127.0.0.7", "trusted_proxies": ("127.0.0.1",)},
        TLS,
        NETWORK | TLS,
        NETWORK | {"behind_proxy": True, "trusted_proxies": ("10.0.0.0/8",)},
    ],
)
def test_settings_that_go_together(settings: dict[str, Any]) -> None:
    listening.check(ServerOptions(**settings))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (NETWORK, "server.host"),
        ({"host": "::"}, "server.host"),
        ({"host": "192.0.2.1"}, "server.host"),
        ({"host": "gateway.example"}, "server.host"),
        (NETWORK | {"trusted_proxies": ("10.0.0.0/8",)}, "server.host"),
        (NETWORK | {"behind_proxy": True}, "server.trusted_proxies"),
        ({"behind_proxy": True}, "server.trusted_proxies"),
        ({"trusted_proxies": ("10.0.0.0/33",)}, "server.trusted_proxies"),
        ({"tls_cert": "chain.pem"}, "server.tls_key"),
        ({"tls_key": "key.pem"}, "server.tls_cert"),
    ],
)
def test_settings_that_do_not(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        listening.check(ServerOptions(**settings))
    assert caught.value.param == named
    assert named in caught.value.message


def test_a_host_that_is_no_address_here() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        listening.listen(ServerOptions(host="192.0.2.1", port=0))
    assert caught.value.param == "server.host"
    with pytest.raises(SettingsInvalid) as caught:
        listening.listen(ServerOptions(host="no such host", port=0))
    assert caught.value.param == "server.host"


def test_a_port_that_is_taken() -> None:
    (taken,) = listening.listen(ServerOptions(port=0))
    with taken:
        taken.listen()
        with pytest.raises(SettingsInvalid) as caught:
            listening.listen(ServerOptions(port=taken.getsockname()[1]))
        assert caught.value.param == "server.port"


def test_port_0_is_one_port_for_all_addresses_of_a_host() -> None:
    sockets = listening.listen(ServerOptions(host="localhost", port=0))
    ports = {bound.getsockname()[1] for bound in sockets}
    assert len(ports) == 1
    assert listening.url_of(ServerOptions(host="localhost", port=0), sockets) == f"http://localhost:{ports.pop()}"
    for bound in sockets:
        assert bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        bound.close()


def test_the_url_of_an_ipv6_address() -> None:
    with socket.socket(socket.AF_INET6) as bound:
        bound.bind(("::1", 0))
        port = bound.getsockname()[1]
        assert listening.url_of(ServerOptions(host="::1", **TLS), [bound]) == f"https://[::1]:{port}"


# TLS.


class Authority:
    """A root, an intermediate, and a leaf for localhost, written as files."""

    def __init__(self, folder: Path) -> None:
        root_key, middle_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        root = issue("Root", root_key, "Root", root_key)
        middle = issue("Intermediate", middle_key, "Root", root_key)
        leaf = issue("localhost", leaf_key, "Intermediate", middle_key)
        self.root = folder / "root.pem"
        self.chain = folder / "chain.pem"
        self.key = folder / "key.pem"
        self.other_key = folder / "other.pem"
        self.root.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self.chain.write_bytes(b"".join(part.public_bytes(serialization.Encoding.PEM) for part in (leaf, middle)))
        self.key.write_bytes(pem(leaf_key))
        self.other_key.write_bytes(pem(root_key))

    def settings(self) -> dict[str, Any]:
        return {"tls_cert": str(self.chain), "tls_key": str(self.key)}

    def client(self) -> ssl.SSLContext:
        """Trusts the root alone, so the server must send the intermediate."""
        return ssl.create_default_context(cafile=str(self.root))


def issue(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    is_leaf = subject == "localhost"
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=not is_leaf, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if is_leaf:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def test_a_client_that_trusts_the_root_is_served_over_tls(certificates: Authority) -> None:
    with (
        serving(**certificates.settings()) as running,
        Client(running.port, certificates.client()) as client,
    ):
        assert running.lifecycle.url == f"https://127.0.0.1:{running.port}"
        client.get("/x")
        assert client.answer().facts()["scheme"] == "https"
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n", b"x" * 300_000)
        assert client.answer().facts()["length"] == 300_000
        client.send(b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n")
        assert client.answer().status == 400
        assert client.rest() == b""


def test_tls_before_1_2_is_refused(certificates: Authority) -> None:
    """OpenSSL's own default refuses it too, on most systems; this holds whatever the system's is."""
    context = listening.tls_context(ServerOptions(**certificates.settings()))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_handshake_that_never_ends(certificates: Authority) -> None:
    with (
        serving(**certificates.settings(), header_timeout_s=0.2) as running,
        Client(running.port) as client,
    ):
        assert client.rest() == b""


def test_clear_text_to_a_tls_port_does_no_harm(certificates: Authority) -> None:
    with serving(**certificates.settings()) as running:
        with Client(running.port) as client:
            client.get("/x")
            client.rest()
        with Client(running.port, certificates.client()) as client:
            client.get("/x")
            assert client.answer().status == 200


def test_a_client_that_never_reads_over_tls(certificates: Authority) -> None:
    with (
        serving(**certificates.settings(), write_timeout_s=0.2) as running,
        Client(running.port, certificates.client()) as client,
    ):
        client.get("/flood")
        assert running.application.disconnected.wait(PATIENCE_S)


@pytest.mark.parametrize("wrong", ["missing", "other key", "no certificate"])
def test_certificates_that_cannot_be_used(certificates: Authority, tmp_path: Path, wrong: str) -> None:
    settings = certificates.settings()
    if wrong == "missing":
        settings["tls_cert"] = str(tmp_path / "nowhere.pem")
    elif wrong == "other key":
        settings["tls_key"] = str(certificates.other_key)
    else:
        settings["tls_cert"] = str(certificates.key)
    with pytest.raises(SettingsInvalid) as caught:
        listening.tls_context(ServerOptions(**settings))
    assert caught.value.param == "server.tls_cert"
