"""Who gets in: credential before route, markers before handlers, errors in the caller's protocol."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from litestar import get
from litestar.handlers import HTTPRouteHandler

from tests.http.browser import ask
from trunkline.errors import Defect, SettingsInvalid, StoreUnavailable, Unauthenticated
from trunkline.http.admin import (
    KEY,
    PUBLIC,
    AdminServices,
    ProviderStatus,
    Reloaded,
    Specification,
    Status,
    create_admin,
)
from trunkline.http.asgi import Application, Message, Scope
from trunkline.ids import AccountId, KeyId
from trunkline.ports.keys import KeyRecord

PLAIN = {"x-api-key": "plain"}
ADMIN = {"x-api-key": "admin"}
STATUS = Status(
    version="0.1.0",
    worker_pid=7,
    started_at=1_000.0,
    uptime_s=12.5,
    ready=True,
    draining=False,
    key_table_age_s=0.2,
    providers=(ProviderStatus(id="sandbox", name="Sandbox", origin="in this process", models=8),),
    models=8,
    aliases={"fast": ("sandbox/echo",)},
)


class House:
    """The rest of the house, as the admin API sees it."""

    def __init__(self) -> None:
        self.reloads = 0
        self.trouble: Exception | None = None

    async def identify(self, scope: Scope) -> KeyRecord:
        if isinstance(self.trouble, StoreUnavailable):
            raise self.trouble
        name = dict(scope["headers"]).get(b"x-api-key", b"").decode()
        if name not in ("plain", "admin", "tenant"):
            raise Unauthenticated("No API key was sent.")
        account_id = AccountId("acct_1" if name == "tenant" else "acct_root")
        return KeyRecord(
            digest=b"d" * 32, key_id=KeyId("key_1"), account_id=account_id, name=name, admin=name != "plain"
        )

    async def reload(self) -> Reloaded:
        if self.trouble is not None:
            raise self.trouble
        self.reloads += 1
        return Reloaded(applied=("models",), needs_restart=("server.port",))

    def status(self) -> Status:
        return STATUS

    def services(self) -> AdminServices:
        return AdminServices(identify=self.identify, reload=self.reload, status=self.status)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def admin(house: House) -> Application:
    return create_admin(house.services())


ACCESS = [
    # method, path, status without a key, with a plain one, with an admin's
    ("GET", "/openapi.json", [200, 200, 200]),
    ("HEAD", "/openapi.json", [200, 200, 200]),
    ("GET", "/llms.txt", [200, 200, 200]),
    ("GET", "/llms.txt/", [200, 200, 200]),
    ("GET", "/admin/status", [401, 403, 200]),
    ("HEAD", "/admin/status", [401, 403, 200]),
    ("POST", "/admin/reload", [401, 403, 200]),
    ("GET", "/admin/reload", [401, 405, 405]),
    ("POST", "/admin/status", [401, 405, 405]),
    ("OPTIONS", "/admin/status", [401, 405, 405]),
    ("DELETE", "/openapi.json", [405, 405, 405]),
    ("GET", "/admin", [401, 404, 404]),
    ("GET", "/admin/", [401, 404, 404]),
    ("GET", "/admin//status", [401, 403, 200]),
    ("GET", "/admin/nothing", [401, 404, 404]),
    ("GET", "/schema", [401, 404, 404]),
    ("GET", "/schema/openapi.json", [401, 404, 404]),
    ("GET", "/openapi.json/x", [401, 404, 404]),
    ("GET", "/llms.txt/../admin/status", [401, 404, 404]),
]


@pytest.mark.parametrize(("method", "path", "statuses"), ACCESS)
async def test_who_may_call_what(admin: Application, method: str, path: str, statuses: list[int]) -> None:
    assert [(await ask(admin, method, path, headers)).status for headers in ({}, PLAIN, ADMIN)] == statuses


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/admin/status", {}, 401, "invalid_api_key"),
        ("/admin/status", PLAIN, 403, "permission_denied"),
        ("/admin/nothing", ADMIN, 404, "unknown_url"),
        ("/admin/reload", ADMIN, 405, "method_not_allowed"),
    ],
)
async def test_refusals_have_the_envelope_and_the_request_id(
    admin: Application, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    page = await ask(admin, "GET", path, {**headers, "x-request-id": "mine-1"})
    error = msgspec.json.decode(page.body)["error"]
    assert (page.status, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert page.header(b"x-request-id") == "mine-1"
    assert page.header(b"content-type") == "application/json"
    assert page.header(b"content-length") == str(len(page.body))


async def test_messages_callers_get_their_own_envelope(admin: Application) -> None:
    for headers, kind in (({}, "authentication_error"), (PLAIN, "not_found_error")):
        page = await ask(admin, "POST", "/v1/messages/nothing", headers)
        body = msgspec.json.decode(page.body)
        assert (body["type"], body["error"]["type"]) == ("error", kind)
        assert page.header(b"request-id") == page.header(b"x-request-id")


async def test_every_answer_carries_one_request_id(admin: Application) -> None:
    seen = set()
    for path in ("/openapi.json", "/admin/status", "/nothing"):
        page = await ask(admin, "GET", path, ADMIN)
        [request_id] = [value for name, value in page.headers if name == b"x-request-id"]
        seen.add(request_id)
    assert len(seen) == 3


async def test_an_unreachable_store_is_not_a_wrong_key(admin: Application, house: House) -> None:
    house.trouble = StoreUnavailable("The database does not answer.")
    page = await ask(admin, "GET", "/admin/status", ADMIN)
    assert page.status == 503
    assert page.header(b"retry-after") == "1"
    assert (await ask(admin, "GET", "/openapi.json")).status == 200


async def test_status_is_what_the_house_says(admin: Application) -> None:
    page = await ask(admin, "GET", "/admin/status", ADMIN)
    assert msgspec.json.decode(page.body, type=Status) == STATUS


async def test_reload_reports(admin: Application, house: House) -> None:
    page = await ask(admin, "POST", "/admin/reload", ADMIN)
    assert msgspec.json.decode(page.body) == {
        "applied": ["models"],
        "unchanged": [],
        "needs_restart": ["server.port"],
    }
    assert house.reloads == 1


async def test_nobody_else_reloads(admin: Application, house: House) -> None:
    for headers in ({}, PLAIN):
        await ask(admin, "POST", "/admin/reload", headers)
    assert house.reloads == 0


async def test_the_admin_of_a_tenant_does_not_run_the_gateway(admin: Application, house: House) -> None:
    for method, path in (("GET", "/admin/status"), ("POST", "/admin/reload")):
        page = await ask(admin, method, path, {"x-api-key": "tenant"})
        assert (page.status, "root account" in page.text) == (403, True)
    assert house.reloads == 0


async def test_a_bad_file_is_told(admin: Application, house: House) -> None:
    house.trouble = SettingsInvalid("`server.prot` is not a setting; `server.port` is")
    page = await ask(admin, "POST", "/admin/reload", ADMIN)
    error = msgspec.json.decode(page.body)["error"]
    assert (page.status, error["code"]) == (400, "settings_invalid")
    assert "server.port" in error["message"]


async def test_a_defect_is_500_and_tells_no_more(admin: Application, house: House) -> None:
    house.trouble = ZeroDivisionError("sk-tl-secret")
    page = await ask(admin, "POST", "/admin/reload", ADMIN)
    assert page.status == 500
    assert msgspec.json.decode(page.body)["error"]["code"] == "internal_error"
    assert b"sk-tl-secret" not in page.body


def route(opt: dict[str, Any]) -> HTTPRouteHandler:
    @get("/odd", opt=opt)
    async def odd() -> str:
        return "odd"

    return odd


def with_route(house: House, opt: dict[str, Any]) -> Application:
    def pages(specification: Specification) -> list[HTTPRouteHandler]:
        assert isinstance(specification, Specification)
        return [route(opt)]

    return create_admin(house.services(), pages)


@pytest.mark.parametrize("opt", [{}, {"access": ""}, {"access": "everyone"}, {"acess": "public"}])
def test_a_route_that_does_not_say_who_may_call_it_stops_the_start(house: House, opt: dict[str, Any]) -> None:
    with pytest.raises(Defect, match="/odd"):
        with_route(house, opt)


@pytest.mark.parametrize(("opt", "nobody", "plain"), [(PUBLIC, 200, 200), (KEY, 401, 200)])
async def test_markers_open_routes(house: House, opt: dict[str, Any], nobody: int, plain: int) -> None:
    admin = with_route(house, opt)
    assert [(await ask(admin, "GET", "/odd", headers)).status for headers in ({}, PLAIN)] == [nobody, plain]


async def test_the_document_describes_the_admin_api(admin: Application) -> None:
    page = await ask(admin, "GET", "/openapi.json")
    document = msgspec.json.decode(page.body)
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {"/admin/status", "/admin/reload", "/openapi.json", "/llms.txt"}
    reply = document["paths"]["/admin/status"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][reply["$ref"].rpartition("/")[2]]
    assert set(schema["properties"]) == set(Status.__struct_fields__)


async def test_the_text_for_language_models_gives_the_address_it_was_reached_at(admin: Application) -> None:
    page = await ask(admin, "GET", "/llms.txt", scheme="https")
    assert page.header(b"content-type").startswith("text/plain")
    assert "https://gateway.test/v1" in page.text


async def test_a_websocket_is_closed(admin: Application) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await admin({"type": "websocket", "path": "/admin/status", "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
