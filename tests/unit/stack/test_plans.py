"""What a deployment does, seen from what is wanted and what is there."""

import pytest

from internal.infra import settings
from internal.pipeline import flow
from internal.stack import function_configs, plans

TOPIC = "persistent://souk/pos/orders.placed"
WANTED = plans.with_package(
    function_configs.config_of(flow.ORDER, settings.PulsarSettings(), 2), "digest-of-the-wheel"
)
AS_THE_WORKER_TELLS = {
    **WANTED,
    "inputSpecs": {
        TOPIC: {**WANTED["inputSpecs"][TOPIC], "schemaProperties": {}, "poolMessages": False}
    },
    "producerConfig": {"compressionType": "LZ4"},
    "retainOrdering": False,
    "resources": {"cpu": 1.0},
}


def test_what_is_not_there_is_created() -> None:
    assert plans.plan(WANTED, None) == plans.Plan(plans.Action.CREATE)


def test_what_is_as_wanted_is_left_alone_whatever_the_worker_adds() -> None:
    assert plans.plan(WANTED, AS_THE_WORKER_TELLS) == plans.Plan(plans.Action.NOTHING)


@pytest.mark.parametrize(
    ("field", "deployed"),
    [
        ("parallelism", 1),
        ("cleanupSubscription", True),
        ("className", "functions.order_processing.Old"),
        ("inputSpecs", {TOPIC: {"receiverQueueSize": 1}}),
    ],
)
def test_what_may_change_is_updated(field: str, deployed: object) -> None:
    found = plans.plan(WANTED, {**AS_THE_WORKER_TELLS, field: deployed})
    assert found == plans.Plan(plans.Action.UPDATE, (field,))


@pytest.mark.parametrize(
    ("field", "deployed"),
    [
        ("processingGuarantees", "ATLEAST_ONCE"),
        ("autoAck", True),
        ("retainKeyOrdering", False),
        ("subName", "other"),
        ("runtime", "JAVA"),
        ("inputSpecs", {"persistent://souk/pos/orders.paid": {}}),
        ("output", "persistent://souk/pos/orders.accepted"),
        ("logTopic", "persistent://souk/pos/logs"),
        ("userConfig", {"package": "digest-of-another-wheel"}),
        ("userConfig", None),
    ],
)
def test_what_the_worker_refuses_to_change_is_made_anew(field: str, deployed: object) -> None:
    found = plans.plan(WANTED, {**AS_THE_WORKER_TELLS, field: deployed})
    assert found == plans.Plan(plans.Action.RECREATE, (field,))
