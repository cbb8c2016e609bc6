"""Several tenants on one running gateway, with keys of every kind, and things of a stranger's to be reached for."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.acceptance.conftest import Gateway

ECHO = "sandbox/echo"
CHAT_BODY: dict[str, Any] = {"model": ECHO, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
PRICES = f'[prices."{ECHO}"]\ninput = 0\noutput = 0\nrequest = 0.01\n'
MAIL = {"type": "email", "recipients": ["a@example.com"], "subject_prefix": None}
MONTHLY = {"threshold_amount": 100, "currency": "USD", "interval": "month"}
FORGED = {
    "x-forwarded-for": "203.0.113.5",
    "forwarded": "for=203.0.113.5",
    "x-real-ip": "203.0.113.5",
    "true-client-ip": "203.0.113.5",
}
"""What somebody says who would like to be there."""


class Answer(NamedTuple):
    status: int
    body: Any
    text: str

    @property
    def code(self) -> str | None:
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return error.get("code") if isinstance(error, dict) else None

    @property
    def found(self) -> tuple[int, str | None]:
        return self.status, self.code


class Account(NamedTuple):
    """One account, its child, and ids of what belongs to it, by the names of parameters of paths. `keys` by name."""

    id: str
    ids: dict[str, str]
    keys: dict[str, str]


class Callers:
    """Those who call a gateway, with their keys by name; over connections that stay."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.keys = {"operator": gateway.admin_key, "root manager": gateway.key}
        self._idle: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def ask(self, who: str | None, method: str, path: str, body: Any = None) -> Answer:
        return self.send(who, method, path, body, {})

    def made(self, who: str, path: str, **body: Any) -> Any:
        answer = self.ask(who, "POST", path, body)
        assert answer.status in (200, 201), (who, path, answer)
        return answer.body

    def send(self, who: str | None, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        """`body`: bytes go as they are."""
        sent = dict(headers)
        if who is not None:
            sent.setdefault("authorization", f"Bearer {self.keys.get(who, who)}")
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is None and method in ("POST", "PATCH"):
            data = b"{}"
        if data is not None:
            sent["content-type"] = "application/json"
        reply = self._exchange(method, path, data, sent)
        text = reply[1].decode("utf-8", "replace")
        try:
            return Answer(reply[0], json.loads(text), text)
        except ValueError:
            return Answer(reply[0], None, text)

    def _exchange(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        """Over a connection that is idle; over another one when the server has ended it meanwhile."""
        while True:
            was_used = bool(self._idle)
            link = self._idle.pop() if was_used else self._connected()
            try:
                link.request(method, path, data, headers)
                reply = link.getresponse()
                body = reply.read()
            except (http.client.HTTPException, ConnectionError):
                link.close()
                if not was_used:
                    raise
                continue
            self._idle.append(link)
            return reply.status, body

    def _connected(self) -> http.client.HTTPConnection:
        where = urlsplit(self.gateway.url)
        return http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)

    def operations(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the gateway says that it serves: (method, path) and how it is described."""
        paths = self.ask(None, "GET", "/openapi.json").body["paths"]
        return {
            (method.upper(), path): said
            for path, methods in paths.items()
            for method, said in methods.items()
            if method != "parameters"
        }


class Town(Callers):
    """Beside `operator` and `root manager` (of the root): of ours `manager`, `admin`, `plain`, `viewer` and `walled` (a
    manager's, kept to a network that nobody here is in), and some that have ended. Of the accounts ours, theirs and lab
    (whose settings are anybody's to ruin) `manager of`, `admin of` and `plain of` each."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        names = ("ours", "theirs", "lab")
        made = {name: self.made("operator", "/v1/sub-accounts", name=name) for name in names}
        commands = [(f"admin of {name}", made[name]["id"], "--admin") for name in names]
        commands.append(("viewer", made["ours"]["id"], "--viewer"))
        with ThreadPoolExecutor(2) as typists:
            created = typists.map(lambda one: gateway.command("keys", "create", "--account", *one[1:]), commands)
            self.keys |= dict(zip([name for name, *_ in commands], created, strict=True))
        self.ours, self.theirs, self.lab = (self._account(name, made[name]) for name in names)
        self.keys |= self.ours.keys
        self.keys["walled"] = self.made("manager", "/v1/keys", name="w", manage=True, ip_allowlist=["203.0.113.0/24"])[
            "key"
        ]
        self._end_some()

    def _end_some(self) -> None:
        ends_at = int(time.time()) + 1
        self.keys["expired"] = self.made("manager", "/v1/keys", name="e", manage=True, expires=ends_at + 1)["key"]
        revoked = self.made("manager", "/v1/keys", name="r", manage=True)
        archived = self.made("manager", "/v1/sub-accounts", name="gone")
        self.keys |= {"revoked": revoked["key"], "archived": archived["key"]}
        assert self.ask("revoked", "GET", "/v1/key").status == 200
        assert self.ask("manager", "DELETE", f"/v1/keys/{revoked['id']}").status == 200
        assert self.ask("manager", "DELETE", f"/v1/sub-accounts/{archived['id']}").status == 200
        time.sleep(max(1.0, ends_at + 1.2 - time.time()))

    def _account(self, name: str, made: Any) -> Account:
        manager, admin = f"manager of {name}", f"admin of {name}"
        self.keys[manager] = made["key"]
        child = self.made(manager, "/v1/sub-accounts", name=f"child of {name}")
        plain = self.made(manager, "/v1/keys", name="plain", account_id=child["id"])
        own_plain = self.made(manager, "/v1/keys", name="plain")
        project = f"/v1/organization/projects/{child['id']}"
        service = self.made(admin, f"{project}/service_accounts", name="service")
        alert = self.made(admin, f"{project}/spend_alerts", **MONTHLY, notification_channel=MAIL)
        invite = self.made(admin, "/v1/organization/invites", email="b@example.com", role="reader")
        tagged = self.made(manager, "/v1/budgets", tag="blue", limit_usd=1)
        self.keys[f"plain of {name}"] = own_plain["key"]
        answer = self.send(
            f"plain of {name}", "POST", "/v1/responses", {"model": ECHO, "input": "x"}, {"x-request-id": f"call-{name}"}
        )
        assert answer.status == 200, answer
        conversation = self.made(f"plain of {name}", "/v1/conversations")
        return Account(
            made["id"],
            {
                "account_id": child["id"],
                "project_id": child["id"],
                "key_id": plain["id"],
                "budget_id": tagged["id"],
                "service_account_id": service["id"],
                "alert_id": alert["id"],
                "invite_id": invite["id"],
                "user_id": "user-000000000000000000000000",
                "rate_limit_id": "rl-*",
                "response_id": answer.body["id"],
                "request_id": f"call-{name}",
                "conversation_id": conversation["id"],
                "admin_key_id": _key_id(self.keys[admin]),
                "manage_key_id": made["key_id"],
            },
            {"manager": made["key"], "admin": self.keys[admin], "plain": own_plain["key"]},
        )

    @property
    def log(self) -> str:
        path: Path = self.gateway.log
        return path.read_text(errors="replace")


def _key_id(key: str) -> str:
    return "key_" + key.split("-")[2]
