"""`doctor` finds each thing that can be wrong, and says what to do."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from trunkline import clock
from trunkline.cli.doctor import Finding, ask, check_clock, check_data_dir, examine
from trunkline.cli.program import app
from trunkline.cli.store import opened
from trunkline.config import load
from trunkline.providers.credentials import ProviderOptions, configured
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import TransportOptions
from trunkline.storage.keys import Grant

Start = Callable[..., str]
CANARY = "sk-canary-7f3a9d"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_TOKEN")) or name.startswith("TRUNKLINE_"):
            monkeypatch.delenv(name)
    # Port 1 answers nothing; whatever runs on this machine stays unasked.
    monkeypatch.setenv("TRUNKLINE_SERVER__PORT", "1")
    monkeypatch.setenv("TRUNKLINE_DISCOVERY__LOCAL", "false")


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport(TransportOptions())
    yield made
    await made.close()


def findings(text: str = "", *, online: bool = False) -> dict[str, Finding]:
    Path("trunkline.toml").write_text(text, encoding="utf-8")
    return {finding.check: finding for finding in examine(None, None, online=online)}


def test_a_fresh_installation_is_well() -> None:
    found = findings()
    assert {finding.state for finding in found.values()} == {"ok", "warning"}
    assert "first start" in found["database"].says
    assert found["providers"].state == "warning"
    assert "not running" in found["gateway"].says


def test_what_is_not_well_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_SERVER_PORT", "9")
    Path(".trunkline").mkdir(mode=0o755)
    for finding in findings().values():
        assert (finding.do is None) == (finding.state == "ok")


def test_settings_that_cannot_be_read_are_the_only_finding() -> None:
    found = findings("[server]\nprot = 1")
    assert found.keys() == {"settings"}
    assert found["settings"].state == "failed"
    assert "`port`" in found["settings"].says


def test_a_variable_with_one_underscore_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_SERVER_PORT", "9")
    assert "TRUNKLINE_SERVER__PORT" in (findings()["environment"].do or "")


def test_the_database_is_tried_by_writing() -> None:
    with opened(None, None) as (_, store):
        assert findings()["keys"].state == "warning"
        store.keys.create(Grant(name="one"))
    found = findings()
    assert "read and written" in found["database"].says
    assert found["keys"].says == "1 can be used"


def test_a_database_that_is_none_is_found() -> None:
    Path(".trunkline").mkdir()
    Path(".trunkline/trunkline.db").write_bytes(b"this is no database" * 100)
    assert findings()["database"].state == "failed"


def test_a_database_url_that_is_wrong_is_found() -> None:
    found = findings(f'[database]\nurl = "mysql://u:{CANARY}@h/d"')
    assert found["database"].state == "failed"
    assert CANARY not in found["database"].says


def test_a_data_directory_open_to_others_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    (finding,) = check_data_dir(tmp_path / "open")
    assert finding.state == "warning"
    assert "chmod 700" in (finding.do or "")


def test_a_data_directory_that_cannot_be_written_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert [finding.state for finding in check_data_dir(tmp_path)] == ["failed"]


@pytest.mark.parametrize(("back_s", "state"), [(0, "ok"), (30, "ok"), (3600, "failed")])
def test_a_clock_behind_the_database_is_found(back_s: float, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load()
    (settings.data_dir / "trunkline.db").touch()
    now_s = clock.now_s()
    monkeypatch.setattr(clock, "now_s", lambda: now_s - back_s)
    assert [finding.state for finding in check_clock(settings)] == [state]


def test_a_clock_before_the_release_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load()
    monkeypatch.setattr(clock, "now_s", lambda: 0.0)
    assert [finding.state for finding in check_clock(settings)] == ["failed"]


def test_a_provider_without_its_key_is_found() -> None:
    found = findings("[providers.openai]")
    assert found["providers"].state == "failed"
    assert "OPENAI_API_KEY" in found["providers"].says


def test_a_provider_with_its_key_shows_a_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    found = findings()
    assert found["provider openai"].state == "ok"
    assert CANARY not in repr(found)


def test_an_alias_that_leads_nowhere_is_found() -> None:
    found = findings('[models."fast"]\ndeployments = ["nobody/nothing"]')
    failed = [finding for finding in found.values() if finding.state == "failed"]
    assert failed
    assert any("fast" in finding.check + finding.says for finding in failed)


async def test_a_provider_that_takes_its_key_is_well(transport: HttpTransport, gateway_url: Start) -> None:
    heads: list[bytes] = []
    assert [finding.state for finding in await asked(transport, gateway_url(200, b"{}", heads))] == ["ok"]
    assert heads[0].startswith(b"GET /v1/models HTTP/1.1")
    assert b"authorization: Bearer " + CANARY.encode() in heads[0]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_refused_is_found(status: int, transport: HttpTransport, gateway_url: Start) -> None:
    (finding,) = await asked(transport, gateway_url(status, b'{"error":"bad key %b"}' % CANARY.encode()))
    assert finding.state == "failed"
    assert CANARY not in repr(finding)


async def test_a_provider_out_of_reach_is_found(transport: HttpTransport) -> None:
    assert [finding.state for finding in await asked(transport, "http://127.0.0.1:1")] == ["failed"]


@pytest.mark.parametrize(("ahead_s", "states"), [(0, ["ok"]), (600, ["ok", "warning"])])
async def test_a_clock_that_differs_from_the_providers_is_noticed(
    ahead_s: float, states: list[str], transport: HttpTransport, gateway_url: Start
) -> None:
    date = f"date: {formatdate(clock.now_s() + ahead_s, usegmt=True)}\r\n".encode()
    assert [finding.state for finding in await asked(transport, gateway_url(200, b"", headers=date))] == states


async def test_a_date_that_is_none_is_let_be(transport: HttpTransport, gateway_url: Start) -> None:
    assert len(await asked(transport, gateway_url(200, b"", headers=b"date: yesterday\r\n"))) == 1


async def asked(transport: HttpTransport, url: str) -> list[Finding]:
    options = ProviderOptions(kind="openai-compatible", base_url=f"{url}/v1", api_key=CANARY, use_proxy=False)
    return await ask(transport, configured({"office": options}, {})["office"])


def test_a_running_gateway_is_seen(gateway_url: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_SERVER__PORT", gateway_url(200, b'{"status":"ready"}').rpartition(":")[2])
    assert "is ready" in findings()["gateway"].says
    monkeypatch.setenv("TRUNKLINE_SERVER__PORT", gateway_url(503, b'{"status":"draining"}').rpartition(":")[2])
    assert findings()["gateway"].state == "warning"


def test_online_asks_the_providers(gateway_url: Start) -> None:
    url = gateway_url(401, b"")
    text = f'[providers.office]\nkind = "openai-compatible"\nbase_url = "{url}/v1"\napi_key = "{CANARY}"\n'
    assert findings(text, online=True)["provider office, asked"].state == "failed"
    assert "provider office, asked" not in findings(text)


def test_the_exit_code_says_whether_all_is_well() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert (done.exit_code, msgspec.json.decode(done.stdout)["ok"]) == (0, True)
    Path("trunkline.toml").write_text("[server]\nprot = 1", encoding="utf-8")
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert (done.exit_code, msgspec.json.decode(done.stdout)["ok"]) == (1, False)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert done.stdout.startswith("failed   settings: ")
