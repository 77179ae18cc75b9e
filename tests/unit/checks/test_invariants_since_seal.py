"""A check that begins after a seal finds every corruption of what is not sealed."""

import pytest

from internal.checks import invariants
from internal.checks.scope import EVERYTHING
from tests.unit.checks import corruptions, test_invariants
from tests.unit.checks.good_database import Database


def test_a_correct_database_holds_every_rule_since_its_seal(since_seal: Database) -> None:
    assert not since_seal.scope.is_everything
    assert not since_seal.check()
    assert not since_seal._replace(scope=EVERYTHING).check()
    assert sum(it.orders for it in invariants.summary(since_seal.connection, since_seal.scope)) == (
        sum(it.orders for it in invariants.summary(since_seal.connection)) - 2
    )


@pytest.mark.parametrize("name", corruptions.CORRUPTIONS)
def test_one_corruption_is_one_finding_since_a_seal(since_seal: Database, name: str) -> None:
    test_invariants.test_one_corruption_is_one_finding(since_seal, name)
