"""The routes of accounts, keys, money and usage, put together."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar.handlers import HTTPRouteHandler

from trunkline.http.balance import Purse, balance_routes
from trunkline.http.budgets import budget_routes
from trunkline.http.generation import generation_routes
from trunkline.http.key_facts import key_fact_routes
from trunkline.http.key_management import KeyDesk, key_routes
from trunkline.http.litellm import FindKey, LiteLLMServices, litellm_routes
from trunkline.http.sub_accounts import SubAccounts, sub_account_routes
from trunkline.http.usage_pages import usage_routes
from trunkline.ports.accounts import AccountStore
from trunkline.ports.budget_store import BudgetStore
from trunkline.ports.credit import CreditStore
from trunkline.ports.keys import Keys
from trunkline.ports.reports import Reports, RequestLogReader

PREFIXES: Final = (
    "/v1/sub-accounts",
    "/v1/keys",
    "/v1/key",
    "/v1/auth/key",
    "/v1/budgets",
    "/v1/balance",
    "/v1/credits",
    "/v1/usage",
    "/v1/requests",
    "/v1/generation",
    "/api/v1/",
    "/key/",
    "/team/",
    "/user/new",
    "/budget/new",
    "/spend/logs",
)
"""What the paths begin with."""


class MoneyServices(msgspec.Struct, frozen=True, kw_only=True):
    """The stores' calls block and run on threads, as `find_key` does, which knows whole keys; those of `reports` and
    `log` are awaited."""

    accounts: AccountStore
    keys: Keys
    budgets: BudgetStore
    credit: CreditStore
    reports: Reports
    log: RequestLogReader
    find_key: FindKey


def money_routes(services: MoneyServices) -> list[HTTPRouteHandler]:
    """For `create_admin(..., further=...)`."""
    accounts, keys, budgets, credit = services.accounts, services.keys, services.budgets, services.credit
    reports, log, desk = services.reports, services.log, KeyDesk(keys, budgets)
    sub_accounts = SubAccounts(accounts, keys, budgets)
    litellm = LiteLLMServices(
        desk=desk, sub_accounts=sub_accounts, reports=reports, log=log, find_key=services.find_key
    )
    return [
        *sub_account_routes(sub_accounts, reports),
        *key_routes(desk, reports),
        *key_fact_routes(desk, credit, reports),
        *budget_routes(budgets, keys),
        *balance_routes(Purse(accounts, budgets, credit), credit),
        *usage_routes(reports, accounts),
        *generation_routes(log),
        *litellm_routes(litellm),
    ]
