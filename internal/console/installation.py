"""The Souk that a command works on: one rule for every command line on this machine.

The folder that --data names; else what SOUK_CONFIG or SOUK_STORAGE__… name; else the stack of this
checkout while it is up; else the data folder.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from internal.infra import settings
from internal.infra.data_folder import files
from internal.kernel import errors

STACK_FOLDER = Path("data", "stack")
"""The default folder of scripts/stack."""
NAMING = (f"{settings.PREFIX}CONFIG", f"{settings.PREFIX}STORAGE__")
"""Variables that begin so name an installation."""
ANSWER_S = 1.0
LOOPBACK = "127.0.0.1"


class Installation(msgspec.Struct, frozen=True):
    """Settings, and the words for where they were found."""

    settings: settings.Settings
    place: str

    @property
    def target(self) -> str:
        """The address of its API server, HOST:PORT, as seen from this machine."""
        return f"{LOOPBACK}:{self.settings.intake.port}"

    @property
    def demo_key_file(self) -> Path:
        """The file of the demo merchant's API key."""
        return self.settings.storage.data_dir / files.DEMO_KEY


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


@contextlib.contextmanager
def chosen(data: Path | None) -> Iterator[Installation]:
    """Yield the installation; an error on the way says which it was, unless --data named it.

    Raises:
        Misconfigured: as for `of`.
    """
    found = of(data)
    try:
        yield found
    except (errors.Temporary, errors.DatabaseDamaged, errors.Misconfigured, OSError) as error:
        if data is None:
            error.add_note(f"This is about {found.place}.")
        raise


def _answers(database: settings.MysqlSettings) -> bool:
    try:
        with socket.create_connection((database.host, database.port), timeout=ANSWER_S):
            return True
    except OSError:
        return False
