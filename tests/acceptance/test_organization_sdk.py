"""An organisation is run through OpenAI's own client, both of it, on a real gateway: what it changes, calls feel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.acceptance.asking import eventually
from tests.acceptance.conftest import Gateway, serving

pytestmark = pytest.mark.acceptance

ECHO = "sandbox/echo"
# A call costs exactly a cent, whatever it says.
PRICES = f'[prices."{ECHO}"]\ninput = 0\noutput = 0\nrequest = 0.01\n'
KNOWN_WITHIN_S = 2.0
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
MONTHLY: Any = {"currency": "USD", "interval": "month"}
MAIL: Any = {"type": "email", "recipients": ["finance@example.com"]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("organization"), PRICES) as found:
        yield found


def client_of(gateway: Gateway, key: str = "none", admin_key: str | None = None) -> openai.OpenAI:
    """It refuses every answer that lacks a field or has a wrong one."""
    return openai.OpenAI(
        api_key=key,
        admin_api_key=admin_key or gateway.admin_key,
        base_url=f"{gateway.url}/v1",
        max_retries=0,
        _strict_response_validation=True,
    )


def call(client: openai.OpenAI, model: str = ECHO) -> int:
    """The status of a call."""
    try:
        client.chat.completions.create(model=model, messages=HELLO)
    except openai.APIStatusError as refused:
        return refused.status_code
    return 200


def becomes(status: int, ask: Callable[[], int]) -> None:
    eventually(lambda: ask() == status, KNOWN_WITHIN_S)


def test_a_project_from_its_beginning_to_its_end(gateway: Gateway) -> None:
    began = int(time.time())
    admin = client_of(gateway).admin.organization
    project = admin.projects.create(name="Kontor")
    account = admin.projects.service_accounts.create(project.id, name="nightly job")
    assert account.api_key is not None
    key_id = account.api_key.id
    program = client_of(gateway, account.api_key.value)
    assert [call(program) for _ in range(3)] == [200, 200, 200]

    def used() -> Any:
        return admin.usage.completions(
            start_time=began - 3600, bucket_width="1h", project_ids=[project.id], group_by=["api_key_id", "model"]
        )

    results: list[Any] = [result for bucket in used().data for result in bucket.results]
    assert [(one.api_key_id, one.model) for one in results] == [(key_id, ECHO)]
    assert results[0].num_model_requests == 3
    assert results[0].input_tokens == results[0].input_uncached_tokens > 0
    costs = admin.usage.costs(start_time=began - 3600, project_ids=[project.id], group_by=["project_id", "line_item"])
    [cost] = [result for bucket in costs.data for result in bucket.results]
    assert cost.object == "organization.costs.result"
    assert cost.amount is not None
    assert (cost.amount.value, cost.amount.currency, cost.line_item, cost.project_id) == (0.03, "usd", ECHO, project.id)

    admin.projects.model_permissions.update(project.id, mode="deny_list", model_ids=[ECHO])
    becomes(403, lambda: call(program))
    admin.projects.model_permissions.delete(project.id)
    becomes(200, lambda: call(program))

    admin.projects.archive(project.id)
    becomes(401, lambda: call(program))
    assert project.id not in [one.id for one in admin.projects.list()]
    assert project.id in [one.id for one in admin.projects.list(include_archived=True)]


def test_a_spend_limit_is_a_limit(gateway: Gateway) -> None:
    admin = client_of(gateway).admin.organization
    project = admin.projects.create(name="careful")
    below = admin.projects.create(name="below", extra_body={"parent_id": project.id})
    account = admin.projects.service_accounts.create(below.id, name="spender")
    assert account.api_key is not None
    program = client_of(gateway, account.api_key.value)
    limit = admin.projects.spend_limit.update(project.id, threshold_amount=3, **MONTHLY)
    assert limit.enforcement.status == "enforcing"
    answered = 0

    def is_spent() -> bool:
        nonlocal answered
        status = call(program)
        answered += status == 200
        return status == 402

    eventually(is_spent, KNOWN_WITHIN_S)
    # Calls that were made before the process knew of the limit are not taken back.
    assert answered >= 3
    with pytest.raises(openai.APIStatusError) as refused:
        program.chat.completions.create(model=ECHO, messages=HELLO)
    assert refused.value.code == "budget_exceeded"
    assert refused.value.response.headers["x-should-retry"] == "false"
    admin.projects.spend_limit.delete(project.id)
    becomes(200, lambda: call(program))


def test_keys_end_when_they_are_deleted(gateway: Gateway) -> None:
    admin = client_of(gateway).admin.organization
    project = admin.projects.create(name="keys")
    account = admin.projects.service_accounts.create(project.id, name="a program")
    second = admin.projects.service_accounts.api_keys.create(account.id, project_id=project.id, name="second")
    assert account.api_key is not None
    first_program, second_program = (client_of(gateway, value) for value in (account.api_key.value, second.value))
    assert [call(first_program), call(second_program)] == [200, 200]
    admin.projects.api_keys.delete(account.api_key.id, project_id=project.id)
    becomes(401, lambda: call(first_program))
    assert call(second_program) == 200
    assert [key.id for key in admin.projects.api_keys.list(project.id)] == [second.id]
    admin.projects.service_accounts.delete(account.id, project_id=project.id)
    becomes(401, lambda: call(second_program))


def test_an_admin_key_runs_the_organisation_until_it_is_deleted(gateway: Gateway) -> None:
    admin = client_of(gateway).admin.organization
    made = admin.admin_api_keys.create(name="terraform", expires_in_seconds=3600)
    theirs = client_of(gateway, admin_key=made.value).admin.organization
    assert made.id in [key.id for key in theirs.admin_api_keys.list()]
    admin.admin_api_keys.delete(made.id)

    def status() -> int:
        try:
            theirs.projects.list()
        except openai.APIStatusError as refused:
            return refused.status_code
        return 200

    becomes(401, status)


def test_lists_go_on_to_their_end(gateway: Gateway) -> None:
    admin = client_of(gateway).admin.organization
    project = admin.projects.create(name="many")
    made = [admin.projects.service_accounts.create(project.id, name=f"program {place}") for place in range(25)]
    assert [one.id for one in admin.projects.service_accounts.list(project.id)] == [one.id for one in made]
    keys = [one.api_key.id for one in made if one.api_key is not None]
    assert [key.id for key in admin.projects.api_keys.list(project.id)] == keys
    audited = list(admin.audit_logs.list(event_types=["service_account.created"], project_ids=[project.id], limit=10))
    assert [one.service_account_created.id for one in audited if one.service_account_created] == [
        one.id for one in reversed(made)
    ]


def test_both_clients_do_the_same(gateway: Gateway) -> None:
    async def all_of_it() -> list[str]:
        async with openai.AsyncOpenAI(
            api_key="none",
            admin_api_key=gateway.admin_key,
            base_url=f"{gateway.url}/v1",
            max_retries=0,
            _strict_response_validation=True,
        ) as client:
            admin = client.admin.organization
            project = await admin.projects.create(name="awaited")
            made = [
                (await admin.projects.service_accounts.create(project.id, name=f"program {place}")).id
                for place in range(3)
            ]
            alert = await admin.projects.spend_alerts.create(
                project.id, threshold_amount=100, notification_channel=MAIL, **MONTHLY
            )
            invite = await admin.invites.create(
                email="new@example.com", role="reader", projects=[{"id": project.id, "role": "member"}]
            )
            assert [one.id async for one in admin.projects.spend_alerts.list(project.id)] == [alert.id]
            assert invite.id in [one.id async for one in admin.invites.list()]
            limits = [one async for one in admin.projects.rate_limits.list_rate_limits(project.id, limit=3)]
            assert {"*", ECHO} <= {one.model for one in limits}
            [echo] = [one for one in limits if one.model == ECHO]
            changed = await admin.projects.rate_limits.update_rate_limit(
                echo.id, project_id=project.id, max_requests_per_1_minute=60
            )
            assert changed.max_requests_per_1_minute == 60
            assert [one async for one in admin.users.list()] == []
            assert (await admin.usage.vector_stores(start_time=int(time.time()) - 86_400)).data[0].results == []
            assert (await admin.invites.delete(invite.id)).deleted
            listed = [one.id async for one in admin.projects.service_accounts.list(project.id, limit=1)]
            assert listed == made
            return listed

    made = asyncio.run(all_of_it())
    admin = client_of(gateway).admin.organization
    [project] = [one for one in admin.projects.list() if one.name == "awaited"]
    assert [one.id for one in admin.projects.service_accounts.list(project.id)] == made


def test_who_is_no_admin_gets_nowhere(gateway: Gateway) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        client_of(gateway, admin_key=gateway.key).admin.organization.projects.list()
    with pytest.raises(openai.AuthenticationError):
        client_of(gateway, admin_key="sk-nobody").admin.organization.projects.list()


def test_what_is_not_here_is_not_found(gateway: Gateway) -> None:
    admin = client_of(gateway).admin.organization
    project = admin.projects.create(name="plain")
    for ask in (
        admin.groups.list,
        admin.roles.list,
        admin.certificates.list,
        admin.data_retention.retrieve,
        lambda: admin.projects.roles.list(project.id),
        lambda: admin.projects.hosted_tool_permissions.retrieve(project.id),
    ):
        with pytest.raises(openai.NotFoundError) as unknown:
            ask()
        assert unknown.value.code == "unknown_url"
