"""A ledger of any size, made by the database itself: calls evenly over some days, of many keys, a few of them busy."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from trunkline.ids import ENTRY_ENDED, NUMBER_SHIFT, first_number
from trunkline.storage.entries import COLUMNS

DAY_MS = 86_400_000


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    first_ms: int
    days: int
    keys: int
    accounts: int


def fill(connection: Connection, count: int, shape: Shape) -> None:
    """`count` whole entries. Each key belongs to one account; the first keys are the busiest."""
    first_ms, keys, accounts = shape.first_ms, shape.keys, shape.accounts
    # A product with a large odd number gives each row its values. Squares make few keys busy.
    statement = f"""
    WITH RECURSIVE places (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM places WHERE n + 1 < {count}),
    drawn AS (SELECT n, (n * 2654435761 >> 7) & 0xFFFFF AS a, (n * 1640531527 >> 9) & 0xFFFFF AS b FROM places),
    calls AS (SELECT n, b, (a * a >> 20) * {keys} >> 20 AS k, n * {shape.days * DAY_MS} / {count} AS ms FROM drawn)
    INSERT INTO ledger ({", ".join(COLUMNS)})
    SELECT ({first_number(first_ms)} + (ms << 16) + n % 256 << {NUMBER_SHIFT}) + {ENTRY_ENDED},
        CASE b % 50 WHEN 0 THEN 'released' ELSE 'settled' END, printf('acct_%016d', k % {accounts}),
        printf('key_%018d', k), CASE b % 4 WHEN 0 THEN NULL ELSE 'team-' || ((k * 7 + b) % 12) END, NULL,
        'openai/gpt-' || (b % 12), 'openai', 'openai_chat', CASE b % 9 WHEN 0 THEN 'responses' ELSE 'chat' END,
        2000000, 1000000 + b, 900000 + b, 0, 1000 + b, b, 0, 0, 300 + b, b % 100, 0, 0, 0, b % 97 = 0, 0, NULL, '7',
        200, {first_ms} + ms, {first_ms} + ms + 900, NULL, NULL
    FROM calls
    """
    connection.exec_driver_sql(statement)
