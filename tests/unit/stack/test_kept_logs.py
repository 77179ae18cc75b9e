"""The logs of a stack that fails and is deleted are kept, and the error names the place."""

from pathlib import Path

import pytest

from internal.kernel import errors
from internal.stack import stack


def made(folder: Path) -> stack.Stack:
    one = stack.Stack(folder / "stack")
    one.folder.make()
    instance = one.folder.logs / "functions" / "f-0.log"
    instance.parent.mkdir()
    instance.write_text("why it does not start")
    return one


def test_a_failure_keeps_every_log_and_names_the_place(tmp_path: Path) -> None:
    one = made(tmp_path)
    with pytest.raises(errors.BusAway, match="gone") as caught, one.logs_kept(tmp_path / "kept"):
        raise errors.BusAway("gone")
    (kept,) = (tmp_path / "kept").iterdir()
    assert caught.value.__notes__ == [f"the logs of the stack are kept in {kept}"]
    assert (kept / "functions" / "f-0.log").read_text() == "why it does not start"


def test_without_a_failure_nothing_is_kept(tmp_path: Path) -> None:
    with made(tmp_path).logs_kept(tmp_path / "kept"):
        pass
    assert not (tmp_path / "kept").exists()


def test_a_stack_that_never_had_logs_has_none_to_keep(tmp_path: Path) -> None:
    assert stack.Stack(tmp_path / "stack").keep_logs(tmp_path / "kept") is None
