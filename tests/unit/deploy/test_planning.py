"""The plan of a deployment follows from the wanted and the deployed configuration."""

import pytest

from internal.deploy import function_configs, planning
from internal.flow import topics
from internal.infra import settings

WANTED = planning.with_package(
    function_configs.config_of(topics.ORDER, settings.Settings.model_construct(), 2),
    "digest-of-the-wheel",
)
AS_THE_WORKER_TELLS = {
    **WANTED,
    "inputSpecs": {
        topic: {**wanted, "schemaProperties": {}, "poolMessages": False}
        for topic, wanted in WANTED["inputSpecs"].items()
    },
    "producerConfig": {"compressionType": "LZ4"},
    "retainOrdering": False,
    "resources": {"cpu": 1.0},
}


def test_missing_function_is_created() -> None:
    assert planning.plan(WANTED, None) == planning.Plan(planning.Action.CREATE)


def test_function_as_wanted_is_left_alone_despite_the_workers_defaults() -> None:
    assert planning.plan(WANTED, AS_THE_WORKER_TELLS) == planning.Plan(planning.Action.NOTHING)


@pytest.mark.parametrize(
    ("field", "deployed"),
    [
        ("parallelism", 1),
        ("cleanupSubscription", True),
        ("className", "functions.order_processing.Old"),
        ("inputSpecs", {topic: {"receiverQueueSize": 1} for topic in WANTED["inputSpecs"]}),
    ],
)
def test_changeable_field_is_updated(field: str, deployed: object) -> None:
    found = planning.plan(WANTED, {**AS_THE_WORKER_TELLS, field: deployed})
    assert found == planning.Plan(planning.Action.UPDATE, (field,))


@pytest.mark.parametrize(
    ("field", "deployed"),
    [
        ("processingGuarantees", "ATLEAST_ONCE"),
        ("autoAck", True),
        ("retainKeyOrdering", False),
        ("subName", "other"),
        ("runtime", "JAVA"),
        ("inputSpecs", {"persistent://souk/pos/orders.paid": {}}),
        ("inputSpecs", {topic: {} for topic in list(WANTED["inputSpecs"])[:1]}),
        ("output", "persistent://souk/pos/orders.accepted"),
        ("logTopic", "persistent://souk/pos/logs"),
        ("userConfig", {"package": "digest-of-another-wheel"}),
        ("userConfig", None),
    ],
)
def test_fixed_field_recreates_the_function(field: str, deployed: object) -> None:
    found = planning.plan(WANTED, {**AS_THE_WORKER_TELLS, field: deployed})
    assert found == planning.Plan(planning.Action.RECREATE, (field,))
