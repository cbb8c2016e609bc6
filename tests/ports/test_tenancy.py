from __future__ import annotations

import pytest

from trunkline.ids import ROOT_ACCOUNT
from trunkline.ports.tenancy import TenancyStore, Tenant
from trunkline.storage.tenancy import SqlTenancyStore


def test_an_account_is_bound_by_nothing_of_its_own_at_first() -> None:
    tenant = Tenant(id=ROOT_ACCOUNT, parent_id=None)
    assert (tenant.models, tenant.markup_millionths, tenant.has_credit, tenant.archived) == ((), None, False, False)
    with pytest.raises(AttributeError):
        tenant.has_credit = True  # type: ignore[misc]


def test_the_database_fulfils_the_port() -> None:
    store: type[TenancyStore] = SqlTenancyStore
    assert "tenancy" in dir(store)
