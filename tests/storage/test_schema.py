from __future__ import annotations

import re

import pytest
from sqlalchemy import ForeignKeyConstraint, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from tests.storage.tables import METADATA

# About the installation as a whole. Alembic's own table is no table of ours.
WITHOUT_ACCOUNT = {"version", "holders", "leases"}
# Written and read in the order of time, by a number that no caller chooses.
BY_TIME = {"pots", "ledger", "outbox"}
# Sums of the ledger, over all accounts or by one; how far they reach.
SUMS = {name for name in METADATA.tables if name.startswith("usage_")}
TENANT_TABLES = [table for name, table in METADATA.tables.items() if name not in WITHOUT_ACCOUNT | SUMS]
POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("table", TENANT_TABLES, ids=lambda table: table.name)
def test_every_row_belongs_to_an_account(table: Table) -> None:
    assert table.c.account_id.nullable is False
    assert table.name in BY_TIME or table.c.account_id in list(table.primary_key.columns)


@pytest.mark.parametrize("table", TENANT_TABLES, ids=lambda table: table.name)
def test_every_reference_keeps_to_its_account(table: Table) -> None:
    """Whoever points at another table's row points at it together with the account."""
    for constraint in table.constraints:
        if isinstance(constraint, ForeignKeyConstraint):
            assert "account_id" in {element.column.name for element in constraint.elements}


def test_the_exceptions_are_there() -> None:
    tenants = {"accounts", "keys", "key_secrets", "admin_links", "budgets", "audit_log"}
    assert set(METADATA.tables) >= WITHOUT_ACCOUNT | BY_TIME | tenants


@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=lambda table: table.name)
def test_every_table_can_be_made_on_postgresql(table: Table) -> None:
    assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=POSTGRESQL))
    for index in table.indexes:
        assert re.match("CREATE (UNIQUE )?INDEX", str(CreateIndex(index).compile(dialect=POSTGRESQL)))


def test_no_column_holds_a_secret() -> None:
    names = {column.name for table in METADATA.tables.values() for column in table.columns}
    assert not names & {"key", "secret", "token", "value", "password"}
