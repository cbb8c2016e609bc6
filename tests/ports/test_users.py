from __future__ import annotations

import inspect

from trunkline.ports.users import UserStore
from trunkline.storage.users import SqlUserStore


def test_the_database_fulfils_the_port() -> None:
    store: type[UserStore] = SqlUserStore
    asked = {name for name, _ in inspect.getmembers(UserStore, inspect.isfunction) if not name.startswith("_")}
    assert len(asked) == 15
    assert asked <= set(dir(store))
