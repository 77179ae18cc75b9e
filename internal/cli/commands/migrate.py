"""`souk migrate`: brings the tables to the version of this code.

This is the only command that may make a database, and only in a folder that never had one.
"""

from functools import partial

import sqlalchemy as sa

from internal.cli import database
from internal.cli.options import Data
from internal.console import installation, lazy_groups, output
from internal.console.options import AsJson
from internal.infra import fixed_settings, settings
from internal.infra import migrate as migrating
from internal.infra.data_folder import private
from internal.infra.sqlite import used_folder
from internal.kernel import errors
from internal.payments.gateways import registry

app = lazy_groups.single()


@app.command()
def migrate(*, data: Data = None, as_json: AsJson = False) -> None:
    """Make the database, or bring its tables up to date; existing rows are kept."""
    options = installation.settings_of(data)
    name, storage = database.name_of(options), options.storage
    try:
        private.make_folder(storage.data_dir)
        if storage.engine == "embedded":
            ledger = registry.ledger_file(options)
            used_folder.require_usable(storage.data_dir, [ledger] if ledger else [])
    except OSError as error:
        what = f"the data folder {storage.data_dir} cannot be made: {error.strerror}"
        raise errors.Misconfigured(what) from error
    before, after = database.run(
        options, lambda opened: opened.write(partial(_upgrade, options.topics))
    )
    if as_json:
        output.as_json({"database": name, "before": before, "after": after})
    elif before == after:
        output.say(f"{name} is up to date ({after})")
    else:
        output.say(f"{name}: {before or 'nothing'} -> {after}")


def _upgrade(
    topics: settings.TopicSettings, connection: sa.Connection
) -> tuple[str | None, str | None]:
    before = migrating.current(connection)
    migrating.upgrade(connection)
    fixed_settings.keep(connection, topics)
    return before, migrating.current(connection)
