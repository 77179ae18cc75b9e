"""A new report is one new file, found under its own name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from internal.kernel import errors
from internal.reports import registry, sales_by_day
from tests.unit.reports import samples


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose modules belong to the package of reports, too."""
    with samples.one_more_folder(tmp_path):
        yield tmp_path


def test_a_file_with_a_report_is_found_under_its_name(folder: Path) -> None:
    (folder / "a_toy.py").write_text(samples.TOY_REPORT)
    found = registry.find_all()
    assert list(found) == ["a_toy", "sales_by_day"]
    assert found["a_toy"].summary == "how long the period is"
    assert registry.find("a_toy") == found["a_toy"]


def test_modules_without_a_report_are_left_out(folder: Path) -> None:
    (folder / "helper.py").write_text('"""No report."""\n\nREPORT = "not one"\n')
    assert set(registry.find_all()) == {"sales_by_day"}


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(folder: Path) -> None:
    (folder / "a_toy.py").write_text(samples.TOY_REPORT)
    with pytest.raises(errors.UnknownReport, match="there are a_toy, sales_by_day") as caught:
        registry.find("sales")
    assert caught.value.name == "sales"
    assert caught.value.known == ["a_toy", "sales_by_day"]


def test_a_report_that_cannot_be_imported_is_not_hidden(folder: Path) -> None:
    (folder / "broken.py").write_text("import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        registry.find_all()


def test_every_report_names_its_columns_once_and_the_currency_of_its_amounts() -> None:
    found = registry.find_all()
    assert found["sales_by_day"] is sales_by_day.REPORT
    for report in found.values():
        names = [column.name for column in report.columns]
        assert len(set(names)) == len(names)
        kinds = {column.kind for column in report.columns}
        assert registry.Kind.AMOUNT not in kinds or "currency" in names
