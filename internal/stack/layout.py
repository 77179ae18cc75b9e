"""A stack's folder: the paths of everything that belongs to it, and its settings file.

The settings file holds the database's password and is readable by its owner only.
"""

import json
import os
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from internal.infra import settings
from internal.infra.data_folder import private
from internal.kernel import errors
from internal.stack import ports

SOCKET_PATH_MAX = 100
"""The kernel's limit is 107 bytes."""
USER = "souk"
DATABASE = "souk"
PASSWORD_BYTES = 24


class Folder(msgspec.Struct, frozen=True):
    """Paths within the folder; `root` is absolute."""

    root: Path

    @property
    def settings_file(self) -> Path:
        """The value of SOUK_CONFIG for every process that works with this stack."""
        return self.root / "souk.toml"

    @property
    def ports_file(self) -> Path:
        """The ports of its last start."""
        return self.root / "ports.json"

    @property
    def run(self) -> Path:
        """Process ids and the database's socket."""
        return self.root / "run"

    @property
    def lock(self) -> Path:
        """Held by a command that starts or stops parts."""
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        """The logs of all parts and functions."""
        return self.root / "logs"

    @property
    def pulsar(self) -> Path:
        """Pulsar's configuration (conf) and data (data)."""
        return self.root / "pulsar"

    @property
    def mysql(self) -> Path:
        """The database's data."""
        return self.root / "mysql"

    @property
    def socket(self) -> Path:
        """Where the database's administrator connects."""
        return self.run / "mysql.sock"

    @property
    def souk(self) -> Path:
        """Souk's own files: data_dir of the settings."""
        return self.root / "souk"

    def pid_file(self, part: str) -> Path:
        """Return the file with the id of a part's first process."""
        return self.run / f"{part}.pid"

    def log(self, part: str) -> Path:
        """Return a part's log file."""
        return self.logs / f"{part}.log"

    def make(self) -> None:
        """Create the folders that must exist before a part starts.

        Raises:
            Misconfigured: the path is too long for a socket, or cannot be written.
        """
        if len(os.fsencode(self.socket)) > SOCKET_PATH_MAX:
            raise errors.Misconfigured(
                f"the path {self.root} is too long for the database's socket: choose a shorter one"
            )
        try:
            private.make_folder(self.root)
            # MySQL lets the administrator in without a password in `run`.
            for folder in (self.run, self.logs, self.souk, self.pulsar / "conf"):
                private.make_folder(folder)
        except OSError as error:
            raise errors.Misconfigured(f"{self.root} cannot be used: {error.strerror}") from error


def logs_in(folder: Path) -> list[Path]:
    """Return the logs of broker and database in a stack's folder of logs."""
    return [folder / f"{name}.log" for name in ("pulsar", "pulsar-output", "mysql-output")]


def write_settings(folder: Folder, chosen: ports.Ports) -> None:
    """Write the settings file for every process that works with this stack.

    The password is generated once. Settings that were added by hand, in any group, stay.

    Raises:
        Misconfigured: there is a file and it is not TOML.
    """
    known = _read(folder.settings_file).get("mysql", {})
    mysql = {
        "password": known.get("password") or secrets.token_urlsafe(PASSWORD_BYTES),
        "host": ports.HOST,
        "port": chosen.mysql,
        "user": USER,
        "database": DATABASE,
    }
    pulsar = {
        "service_url": f"pulsar://{ports.HOST}:{chosen.pulsar}",
        "admin_url": f"http://{ports.HOST}:{chosen.admin}",
    }
    storage = {"engine": "full", "data_dir": str(folder.souk)}
    add_settings(folder, {"storage": storage, "mysql": mysql, "pulsar": pulsar})


def add_settings(folder: Folder, added: Mapping[str, Mapping[str, object]]) -> None:
    """Set some settings in the settings file; all others stay.

    Raises:
        Misconfigured: there is a file and it is not TOML.
    """
    groups = _read(folder.settings_file)
    for name, values in added.items():
        groups.setdefault(name, {}).update(values)
    write_secret(folder.settings_file, _rendered(groups))


def password(folder: Folder) -> str:
    """Return the database's password.

    Raises:
        Misconfigured: the settings file is missing, or has no password.
    """
    found = _read(folder.settings_file).get("mysql", {}).get("password")
    if not isinstance(found, str):
        raise errors.Misconfigured(f"{folder.settings_file} has no password of the database")
    return found


def load_settings(folder: Folder) -> settings.Settings:
    """Read the settings of this stack, regardless of SOUK_CONFIG.

    Raises:
        Misconfigured: the stack was never started, or a setting is wrong.
    """
    if not folder.settings_file.is_file():
        raise errors.Misconfigured(
            f"there is no stack in {folder.root}: scripts/stack up makes one"
        )
    return load_settings_of(folder.settings_file)


def load_settings_of(file: Path) -> settings.Settings:
    """Read the settings in a file, regardless of SOUK_CONFIG.

    Raises:
        Misconfigured: one is wrong.
    """
    return settings.load(**_read(file))


def write_secret(file: Path, text: str) -> None:
    """Write a file atomically; only its owner can read it."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
    fresh.replace(file)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise errors.Misconfigured(f"{file}: {error}") from error


def _rendered(groups: dict[str, dict[str, Any]]) -> str:
    """Write groups of plain values as TOML: JSON's strings and numbers are valid TOML."""
    lines = ["# Written by scripts/stack. You may add settings of your own."]
    for group, values in groups.items():
        lines += ["", f"[{group}]", *(f"{k} = {json.dumps(v)}" for k, v in values.items())]
    return "\n".join(lines) + "\n"
