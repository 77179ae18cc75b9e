"""The Souk that a command works on: one rule for every command line on this machine.

The folder that --data names; else what SOUK_CONFIG or SOUK_STORAGE__… name; else the stack of this
checkout while it is up; else the data folder.
"""

import os
import socket
from pathlib import Path

import msgspec

from internal.infra import files, settings

STACK_FOLDER = Path("data", "stack")
"""The default folder of scripts/stack."""
NAMING = (f"{settings.PREFIX}CONFIG", f"{settings.PREFIX}STORAGE__")
"""Variables that begin so name an installation."""
ANSWER_S = 1.0


class Installation(msgspec.Struct, frozen=True):
    """Settings, and the words for where they were found."""

    settings: settings.Settings
    place: str


def of(data: Path | None) -> Installation:
    """Return the installation by the rule; `data` is the folder that the command line names.

    Raises:
        Misconfigured: a setting is wrong.
    """
    if data is not None:
        return Installation(settings.of_folder(data), f"--data {data}")
    named = next((name for name in sorted(os.environ) if name.startswith(NAMING)), None)
    if named is not None:
        return Installation(settings.load(), f"{named}={os.environ[named]}")
    file = STACK_FOLDER / files.CONFIG
    if file.is_file() and _answers((stack := settings.load(config=file)).mysql):
        return Installation(stack, f"the stack in {STACK_FOLDER}, which is up")
    folder = settings.of_folder(None)
    what = f"the data folder {folder.storage.data_dir}, as no stack is up in {STACK_FOLDER}"
    return Installation(folder, what)


def settings_of(data: Path | None) -> settings.Settings:
    """Return the settings of the installation.

    Raises:
        Misconfigured: one is wrong.
    """
    return of(data).settings


def _answers(database: settings.MysqlSettings) -> bool:
    try:
        with socket.create_connection((database.host, database.port), timeout=ANSWER_S):
            return True
    except OSError:
        return False
