"""One line for a mistake, and an exit code for every way in which a command can end."""

from collections.abc import Callable
from typing import Annotated

import pytest
import typer

from internal.console import lazy_groups, output, run, values
from internal.console.exit_codes import ExitCode
from internal.kernel import errors


def ending(end: Callable[[], ExitCode | None]) -> typer.Typer:
    """Return a command that ends like this."""
    app = lazy_groups.single()

    @app.command()
    def command(
        *, count: Annotated[int, typer.Option(parser=values.whole_number(1, 9))] = 1
    ) -> ExitCode | None:
        return end() if count else None

    return app


def raising(error: BaseException) -> Callable[[], ExitCode | None]:
    def end() -> ExitCode | None:
        raise error

    return end


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda: None, 0),
        (lambda: ExitCode.CHECK_FAILED, 4),
        (lambda: ExitCode.INTERRUPTED, 130),
        (raising(typer.Exit(3)), 3),
        (raising(typer.Abort()), 1),
        (raising(KeyboardInterrupt()), 130),
        (raising(errors.Misconfigured("no")), 2),
        (raising(errors.InvalidInput([("a", "no")])), 1),
        (raising(errors.DatabaseAway("no")), 3),
        (raising(FileNotFoundError("no")), 2),
        (raising(RuntimeError("no")), 70),
    ],
)
def test_every_end_has_its_exit_code(end: Callable[[], ExitCode | None], code: int) -> None:
    assert run.run(ending(end), "scripts/it", []) == code


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--cuont", "2"], "it: No such option: --cuont; did you mean --count? --help tells more"),
        (["--xyz"], "it: No such option: --xyz; --help tells more"),
        (
            ["--count", "10"],
            "it: Invalid value for '--count': '10' is not a whole number from 1 to 9;"
            " --help tells more",
        ),
        (["\udcff"], "it: an argument is not text in UTF-8"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.run(ending(lambda: None), "scripts/it", arguments) == ExitCode.USAGE
    assert capsys.readouterr().err == line + "\n"


def test_an_error_is_one_line_that_opens_with_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    run.run(ending(raising(errors.Misconfigured("no [b]port[/b]"))), "scripts/it", [])
    assert capsys.readouterr().err == "it: no [b]port[/b]\n"


def test_servers_of_its_own_that_are_away_are_a_failure() -> None:
    app = ending(raising(errors.BusAway("no")))
    assert run.run(app, "it", [], when_away=ExitCode.FAILED) == ExitCode.FAILED


def test_a_report_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    app = ending(raising(errors.BusAway("no")))
    assert run.run(app, "it", [], output.problem_json) == ExitCode.AWAY
    assert capsys.readouterr().err.startswith('{"error": {"exit_code": 3, "reason": "BUS_AWAY"')


def test_a_group_without_a_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    app = lazy_groups.new("Does things.")
    app.command("one")(lambda: None)
    app.command("two")(lambda: None)
    assert run.run(app, "it", []) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert "Usage: it" in shown.out + shown.err
    assert run.run(app, "it", ["tow"]) == ExitCode.USAGE
    assert "there is no command 'tow'; there are one, two" in capsys.readouterr().err
