"""`trunkline reload`"""

from __future__ import annotations

from trunkline import config as settings_file
from trunkline.cli import output
from trunkline.cli.store import ConfigFile, DataDir, Json, open_store
from trunkline.errors import SettingsInvalid
from trunkline.storage.database import open_database


def reload(json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Have running servers read their settings again, after a check that these can be read.

    The servers' log says what was applied and what waits for a restart.
    """
    with output.refusals():
        settings = settings_file.load(config, data_dir)
        if not open_database(settings.database, settings.data_dir).path.exists():
            raise SettingsInvalid(f"No server has used the data directory {settings.data_dir} yet.")
        store = open_store(settings)
        try:
            store.serving_keys.raise_version()
        finally:
            store.close()
    if json:
        output.say_json({"path": None if settings.path is None else str(settings.path), "valid": True})
    else:
        output.note("The settings are valid. Running servers read them within a second; their log says what changed.")
