"""How the stack's database is started."""

from pathlib import Path

from internal.stack import database, layout, ports

PART = database.Database(layout.Folder(Path("/somewhere")), ports.Ports(mysql=4_444))


def test_listens_on_loopback_and_reads_no_other_configuration() -> None:
    command = PART.command()
    assert command[1] == "--no-defaults"  # it must come first, or it is not obeyed
    assert "--bind-address=127.0.0.1" in command
    assert "--port=4444" in command


def test_commits_are_on_the_disk() -> None:
    assert "--innodb-flush-log-at-trx-commit=1" in PART.command()


def test_password_is_on_no_command_line() -> None:
    assert not any("password" in word for word in PART.command())


def test_first_statements_stand_one_a_line_and_limit_the_user() -> None:
    lines = database.first_statements("geheim").splitlines()
    assert all(line.endswith(";") for line in lines)
    grants = [line for line in lines if line.startswith("GRANT")]
    assert grants
    assert all("ON `souk" in grant and "*.*" not in grant for grant in grants)


def test_every_option_has_a_reason() -> None:
    assert all(option.why for option in database.OPTIONS)
