"""`souk restore`: makes a new data folder of a backup. Must not touch a folder that was used."""

import os
from pathlib import Path
from typing import Annotated

import typer

from internal.cli import backup_files
from internal.cli.commands import backup
from internal.cli.options import Data
from internal.console import installation, lazy_groups, output
from internal.console.options import AsJson
from internal.infra import schema
from internal.infra.data_folder import files, lock, private
from internal.kernel import errors

app = lazy_groups.single()
COPY_BYTES = 1_048_576


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")],
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a new data folder of a backup, for the embedded engine.

    The folder must be new or empty, and no engine may run on it. Orders that were placed after the
    backup are not in it.
    """
    options = installation.settings_of(data)
    backup.require_embedded(options)
    contents, target = backup_files.read(folder), options.storage.data_dir
    if contents.tables not in schema.versions():
        raise errors.Misconfigured(f"{folder}: {schema.other_version(contents.tables or None)}")
    for part in contents.parts:
        backup_files.require_whole(folder, part)
    with lock.held(target, is_alone=True):
        _require_new(target)
        for part in reversed(contents.parts):  # souk.db comes last: without it the folder is unused
            _copy(folder, target, part)
        private.sync(target)
    if as_json:
        output.as_json({"data": str(target), **backup_files.as_values(contents)})
        return
    output.say(f"{target}: {contents.orders} orders, as of {contents.made_at}")
    if contents.check_ok is False:
        output.remark("the check had failed when the backup was made: `souk check` tells what")


def _require_new(target: Path) -> None:
    """Check that the engine has never kept anything in a folder.

    Raises:
        Misconfigured: it has.
    """
    for file in sorted(target.iterdir()):
        is_database = file.suffix == ".db" or file.name.endswith(("-wal", "-shm", "-journal"))
        if is_database or file.name in {files.HISTORY, files.DEMO_KEY, files.CONFIG}:
            raise errors.Misconfigured(
                f"{target} is in use: it has {file.name}; restore into a new folder with --data,"
                " and keep this one until the new one is checked"
            )


def _copy(source: Path, target: Path, part: backup_files.Part) -> None:
    """Copy a file under its name with ".new", check it, and rename it."""
    fresh = backup_files.Part(f"{part.name}.new", part.size_bytes, part.sha256)
    path = target / fresh.name
    path.unlink(missing_ok=True)
    private.make_file(path)
    with (source / part.name).open("rb") as reading, path.open("r+b") as writing:
        while chunk := reading.read(COPY_BYTES):
            writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    backup_files.require_whole(target, fresh)
    path.rename(target / part.name)
