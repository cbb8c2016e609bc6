"""Admin links on the database: only a digest of the token is kept."""

from __future__ import annotations

from sqlalchemy import delete, insert, update

from trunkline import clock
from trunkline.ids import ROOT_ACCOUNT, random_base62
from trunkline.policy.keys import digest
from trunkline.ports.admin import LINK_LIFE_S
from trunkline.storage.database import Database
from trunkline.storage.schema import admin_links

TOKEN_WIDTH = 43  # 256 bits


class SqlAdminLinks:
    """Fulfils ports.admin.AdminLinks."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        self._database = database
        self._pepper = pepper

    def create(self) -> str:
        token = random_base62(TOKEN_WIDTH)
        now_s = clock.now_s()
        with self._database.writing() as connection:
            connection.execute(delete(admin_links).where(admin_links.c.expires_at <= now_s))
            connection.execute(
                insert(admin_links).values(
                    account_id=ROOT_ACCOUNT,
                    digest=digest(self._pepper, token),
                    created_at=now_s,
                    expires_at=now_s + LINK_LIFE_S,
                )
            )
        return token

    def redeem(self, token: str) -> bool:
        now_s = clock.now_s()
        with self._database.writing() as connection:
            # One statement both asks and marks, so of two that come together one finds nothing.
            marked = connection.execute(
                update(admin_links)
                .where(
                    admin_links.c.digest == digest(self._pepper, token),
                    admin_links.c.used_at.is_(None),
                    admin_links.c.expires_at > now_s,
                )
                .values(used_at=now_s)
            )
        return marked.rowcount == 1
