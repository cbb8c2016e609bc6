"""What the path of a call writes is as narrow as it can be."""

from __future__ import annotations

from trunkline.ports.ledger import Entry
from trunkline.storage import money_schema
from trunkline.storage.schema import metadata


def test_the_columns_of_the_ledger_are_the_fields_of_an_entry() -> None:
    fields = [name for name in Entry.__struct_fields__ if name != "draws"]
    assert [column.name for column in money_schema.ledger.columns] == [*fields, "leases"]


def test_the_ledger_has_one_tree() -> None:
    """A second one would be maintained by every call."""
    assert [column.name for column in money_schema.ledger.primary_key.columns] == ["entry_id"]
    assert not money_schema.ledger.indexes
    assert len(money_schema.ledger.constraints) == 1


def test_amounts_are_whole() -> None:
    amounts = [
        column for table in metadata.tables.values() for column in table.columns if column.name.endswith("_nanos")
    ]
    assert len(amounts) >= 9
    assert {column.type.python_type for column in amounts} == {int}
