"""Every test of a unit fails if Souk scans a table that grows: see tests/support/plans.py."""

from collections.abc import Iterator

import pytest

from tests.support import plans


@pytest.fixture(autouse=True)
def no_scans() -> Iterator[None]:
    yield
    assert plans.PLANS.taken() == []
