"""Where an engine keeps its files, as the command line and the settings say. Opens none of them."""

from pathlib import Path

from internal.infra import settings


def storage_of(data: Path | None) -> settings.StorageSettings:
    """Return where the files are: in `data`, or where the settings say.

    Raises:
        Misconfigured: a setting is wrong.
    """
    overrides = {"storage": {"data_dir": data}} if data else {}
    return settings.load(**overrides).storage
