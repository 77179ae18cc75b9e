"""Faults know whether they fired as often as they should, and cover every failpoint."""

from internal.lab.chaos import campaign, faults
from tests.support import failpoints

NOT_IN_FUNCTIONS = {"bus.before_ack", "relay.after_publish", "relay.before_publish"}
"""Passed by subscriptions of our own client, and by the relay of events; functions acknowledge
through Pulsar's runtime.
"""


def test_rounds_cover_every_failpoint_of_the_functions_once() -> None:
    tried = [place for each in faults.failpoint_rounds(3, 1) for place in each.places]
    assert sorted(tried) == sorted(failpoints.in_code() - NOT_IN_FUNCTIONS)


def test_fault_that_fired_too_seldom_is_named() -> None:
    fault = faults.Failpoints("kill", 3, ("db.before_commit", "bus.before_ack"), 1)
    assert fault.missing({"db.before_commit": 3, "bus.before_ack": 2}) == ["bus.before_ack: 2 of 3"]


def test_names_of_faults_are_unique_and_can_be_chosen_by_a_part() -> None:
    names = [fault.name for fault in campaign.all_faults(campaign.QUICK, 1)]
    assert len(set(names)) == len(names)
    chosen = [fault.name for fault in campaign.chosen(campaign.QUICK, 1, ["broker"])]
    assert chosen == [name for name in names if "broker" in name]
