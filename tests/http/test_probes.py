"""Health and metrics at the door: open where they must be, with the id that every answer carries."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from tests.driver import Reply, ask, scope_of
from tests.pipeline.scripted import KEY, NOBODY, key_table
from trunkline.http.asgi import Headers, Receive, Scope, Send
from trunkline.http.door import Door
from trunkline.http.probes import Probes
from trunkline.ids import ROOT_ACCOUNT, AccountId

FIGURES = b"trunkline_calls_total 3.0\n"


@dataclass
class State:
    ready: bool = True
    draining: bool = False


class Rendering:
    """Counts how often figures were made."""

    times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return FIGURES


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("no lifespan here")


def door(
    state: State | None = None, *, behind_proxy: bool = False, admin: bool = False, account_id: AccountId = ROOT_ACCOUNT
) -> tuple[Door, Rendering]:
    """That knows one key, of `account_id`."""
    table = key_table(admin=admin)
    table._replace(2, [replace(one, account_id=account_id) for one in table._records.values()], began_at=1e12)
    made, render = Door(table, None, nothing), Rendering()
    Probes(made, state or State(), render, behind_proxy=behind_proxy).add_to(made)
    return made, render


async def at(
    made: Door, method: str, path: str, headers: Headers | None = None, peer: str | None = "10.0.0.7"
) -> Reply:
    scope = scope_of(method, path, headers or [])
    scope["client"] = None if peer is None else (peer, 5)
    return await ask(made, scope)


def test_exactly_these_are_answered() -> None:
    made, _ = door()
    assert made.paths() == {
        ("GET", "/healthz"),
        ("HEAD", "/healthz"),
        ("GET", "/readyz"),
        ("HEAD", "/readyz"),
        ("GET", "/metrics"),
        ("HEAD", "/"),
    }


@pytest.mark.parametrize(("method", "path"), [("GET", "/healthz"), ("HEAD", "/healthz"), ("HEAD", "/")])
async def test_anyone_may_ask_whether_anybody_is_there(method: str, path: str) -> None:
    made, render = door(State(ready=False, draining=True))
    reply = await at(made, method, path, [(b"x-request-id", b"mine")])
    assert reply.status == 200
    assert reply.header("x-request-id") == "mine"
    assert render.times == 0


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_readiness_is_asked_anew_each_time(method: str) -> None:
    state = State(ready=False)
    made, _ = door(state)
    assert (await at(made, method, "/readyz")).status == 503
    state.ready = True
    assert (await at(made, method, "/readyz")).status == 200
    state.draining = True
    assert (await at(made, method, "/readyz")).status == 503


def bearer(key: str) -> Headers:
    return [(b"authorization", b"Bearer " + key.encode())]


@pytest.mark.parametrize(
    ("peer", "headers", "behind_proxy", "admin", "status"),
    [
        ("127.0.0.1", [], False, False, 200),
        ("127.0.0.1", [], True, False, 401),
        ("127.0.0.1", [(b"x-forwarded-for", b"10.1.1.1")], False, False, 401),
        ("10.0.0.7", [], False, True, 401),
        (None, [], False, True, 401),
        ("10.0.0.7", bearer(NOBODY), False, True, 401),
        ("10.0.0.7", bearer(KEY), False, False, 403),
        ("10.0.0.7", bearer(KEY), False, True, 200),
        ("127.0.0.1", bearer(KEY), True, True, 200),
    ],
)
async def test_figures_are_for_this_machine_and_for_admins(
    peer: str | None, headers: Headers, behind_proxy: bool, admin: bool, status: int
) -> None:
    made, render = door(behind_proxy=behind_proxy, admin=admin)
    reply = await at(made, "GET", "/metrics", headers, peer)
    assert reply.status == status
    assert (reply.body == FIGURES) is (status == 200)
    assert render.times == (status == 200)
    assert reply.header("x-request-id")


async def test_the_admin_of_a_tenant_sees_no_figures_of_everybody() -> None:
    made, render = door(admin=True, account_id=AccountId("acct_1"))
    reply = await at(made, "GET", "/metrics", [(b"x-api-key", KEY.encode())])
    assert reply.status == 403
    assert render.times == 0
