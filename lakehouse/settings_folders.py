"""The folders that settings name, made before anything is written to them.

Belongs here: `make_folders`. Not here: reading settings, and what can be said of a folder without making it (see
settings.py).
"""

from __future__ import annotations

from lakehouse.settings import PREFIX, Settings, SettingsError


def make_folders(settings: Settings) -> None:
    """Make the data folder and the spool's where they are missing.

    Raises:
        SettingsError: One cannot be made; names its setting.
    """
    for field, folder in (("data_dir", settings.data_dir), ("spool_dir", settings.spool_path)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            name = f"{PREFIX}{field.upper()}"
            raise SettingsError(f"{name}: {folder} cannot be made ({error.strerror}); name another folder") from None
