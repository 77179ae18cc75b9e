"""A scene is printed as an account that people can read."""

import io

import msgspec
from rich import console as rich_console

from internal.lab.demo import scene_run, scene_view, scenes


def shown(name: str, wrong: tuple[str, ...] = (), *, failed: bool = False) -> str:
    """Print a scene that came out as it must, but for `wrong`."""
    number, scene = next(
        (number, scene) for number, scene in enumerate(scenes.SCENES, 1) if scene.name == name
    )
    values = None if failed else scene.right
    played = scene_run.Played(name, "o-1", scene.store_id, scene.currency, 7, values, [*wrong])
    written = io.StringIO()
    scene_view.show(rich_console.Console(file=written, width=100), number, played)
    return written.getvalue()


def test_declined_card_and_then_cash() -> None:
    assert shown("declined_then_cash").splitlines()[2:] == [
        "   $ souk orders submit --store berlin --keep-open --order-id o-1 \\",
        "       --line CANDLE-8 --line OIL-250 --pay card:tok_declined:no_funds --wait",
        "     1 x House candle, 8 cm                        3.49      3.49",
        "     1 x House olive oil, 250 ml                   5.99      5.99",
        "     total EUR                                               9.48",
        "       standard 19 % inside                                  0.56",
        "       reduced 7 % inside                                    0.39",
        "     card, declined                                          0.00",
        "     open: 9.48 left to pay",
        "   $ souk orders pay o-1 cash=10",
        "     cash, 10.00 given, 0.52 change                          9.48",
        "     FINALIZED, receipt 7 of berlin",
        "",
    ]


def test_taxes_on_top_come_before_the_total_and_rounding_is_told() -> None:
    two = shown("two_taxes")
    assert two.index("GST 5 % on top") < two.index("PST 7 % on top") < two.index("total CAD")
    rounded = "cash, 2.00 given, 0.35 change, -0.01 rounding           1.65"
    assert rounded in shown("cash_rounding")


def test_wrong_value_and_a_failed_call_are_told() -> None:
    assert "WRONG: total_minor is 1" in shown("change", ("total_minor is 1",))
    failed = shown("change", ("refused: NOT_FOUND",), failed=True)
    assert "--pay cash:20" in failed
    assert "WRONG: refused: NOT_FOUND" in failed
    assert "FINALIZED" not in failed


def test_lines_fit_a_terminal() -> None:
    for scene in scenes.SCENES:
        assert max(map(len, shown(scene.name).splitlines())) <= 80


def test_scenes_of_a_server_may_have_any_names() -> None:
    scene = scenes.SCENES[0]
    line = msgspec.structs.replace(scene.right.lines[0], name="\x1b[2J")
    values = msgspec.structs.replace(scene.right, lines=(line,))
    played = scene_run.Played(scene.name, "o-1", "zurich", "CHF", 7, values, [])
    written = io.StringIO()
    scene_view.show(rich_console.Console(file=written), 1, played)
    assert "\\x1b[2J" in written.getvalue()
