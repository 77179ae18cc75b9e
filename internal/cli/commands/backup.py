"""`souk backup`: copies an embedded engine's databases while it works. Must not change them."""

import contextlib
import datetime
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from internal.cli import backup_files
from internal.cli.commands import check
from internal.cli.options import Data
from internal.console import exit_codes, installation, lazy_groups, output
from internal.console.options import AsJson
from internal.infra import clock, schema, settings
from internal.infra.data_folder import files, private
from internal.infra.sqlite import integrity, snapshot
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND
from internal.payments.gateways import registry

app = lazy_groups.single()
MIB = 1_048_576
FULL_ENGINE = (
    "the full engine's database is a server's: `scripts/sql-dump --single-transaction"
    " --no-tablespaces` (mysqldump) makes a backup; docs/operations.md#backup-and-restore"
)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder, not there yet.")],
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Copy the embedded engine's databases into a new folder, and check the copy.

    The engine may keep running: every order that it answered OK before the copy began is in it.
    4 means that the copy is complete, but that an invariant does not hold in it.
    """
    options = installation.settings_of(data)
    require_embedded(options)
    check.require_usable(options)
    if folder.exists():
        raise errors.Misconfigured(f"{folder} exists: a backup is never overwritten, name another")
    with _becoming(folder) as fresh:
        contents = _copy(options, fresh)
        backup_files.write(fresh, contents)
    _tell(folder, contents, as_json=as_json)
    if contents.check_ok is False:
        raise typer.Exit(exit_codes.ExitCode.CHECK_FAILED)


def require_embedded(options: settings.Settings) -> None:
    """Check that these settings are an embedded engine's.

    Raises:
        Misconfigured: they are the full engine's; the message says what to use there.
    """
    if options.storage.engine == "full":
        raise errors.Misconfigured(FULL_ENGINE)


@contextlib.contextmanager
def _becoming(folder: Path) -> Iterator[Path]:
    """Yield a folder beside the wanted one, which becomes it at the end, or vanishes."""
    parent = folder.absolute().parent
    parent.mkdir(mode=private.FOLDER_MODE, parents=True, exist_ok=True)
    fresh = parent / f".{folder.name}.{os.getpid()}.new"
    private.make_folder(fresh)
    try:
        yield fresh
        fresh.rename(folder)
        private.sync(parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _copy(options: settings.Settings, fresh: Path) -> backup_files.Contents:
    source, ledger = options.storage.data_dir / files.DATABASE, registry.ledger_file(options)
    others = [ledger] if ledger and not integrity.is_missing(ledger) else []
    copies = [fresh / path.name for path in (source, *others)]
    with snapshot.taken(source, others) as connections:
        began_s = clock.SystemClock().now_us() / US_PER_SECOND
        for connection, path in zip(connections, copies, strict=True):
            snapshot.copy(connection, path)
    for path in copies:
        snapshot.finish(path)
    with integrity.opened(copies[0]) as connection:
        tables = str(integrity.value(connection, "alembic_version", "version_num") or "")
        orders = integrity.value(connection, "orders", "count(*)")
    check_ok = _check(options, fresh) if tables == schema.versions()[-1] else None
    for path in copies:
        snapshot.finish(path)
    return backup_files.Contents(
        made_at=datetime.datetime.fromtimestamp(began_s, datetime.UTC).isoformat("T", "seconds"),
        tables=tables,
        orders=orders if isinstance(orders, int) else 0,
        check_ok=check_ok,
        parts=tuple(backup_files.part_of(path) for path in copies),
    )


def _check(options: settings.Settings, fresh: Path) -> bool:
    storage = options.storage.model_copy(update={"data_dir": fresh})
    findings = check.examine(options.model_copy(update={"storage": storage})).findings
    for finding in findings:
        output.warn(f"{finding.invariant}: {finding.sentence}: {finding.count} times not")
    return not findings


def _tell(folder: Path, contents: backup_files.Contents, *, as_json: bool) -> None:
    if as_json:
        output.as_json({"backup": str(folder), **backup_files.as_values(contents)})
        return
    size_mib = sum(part.size_bytes for part in contents.parts) / MIB
    output.say(f"{folder}: {contents.orders} orders, {size_mib:.1f} MiB, as of {contents.made_at}")
    if contents.check_ok is None:
        output.remark(f"the tables are at version {contents.tables}: not checked by this souk")
        return
    output.say(
        output.yes_or_no(
            good=contents.check_ok, yes="every invariant holds in it", no="the check FAILED in it"
        )
    )
