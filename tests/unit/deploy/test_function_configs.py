"""The functions' configurations match the flow, and Pulsar's FunctionConfig."""

from pathlib import Path

import pytest
import yaml

from functions import finalization, order_processing, payment_processing
from internal.deploy import function_configs
from internal.flow import topics
from internal.infra import settings
from internal.pipeline import function, handler

ROOT = Path(__file__).resolve().parents[3]
CLASSES = (
    order_processing.OrderProcessing,
    payment_processing.PaymentProcessing,
    finalization.Finalization,
)
KNOWN = """
    runtimeFlags tenant namespace name className inputs customSerdeInputs topicsPattern
    customSchemaInputs customSchemaOutputs inputSpecs inputTypeClassName output producerConfig
    outputSchemaType outputTypeClassName outputSerdeClassName logTopic processingGuarantees
    retainOrdering retainKeyOrdering batchBuilder forwardSourceMessageProperty userConfig secrets
    runtime autoAck maxMessageRetries deadLetterTopic subName parallelism resources fqfn
    windowConfig timeoutMs jar py go functionType cleanupSubscription customRuntimeOptions
    maxPendingAsyncRequests exposePulsarAdminClientEnabled skipToLatest subscriptionPosition
    """
"""The fields of FunctionConfig in Pulsar 4.0.8; an unknown one would be ignored silently."""
KNOWN_OF_A_TOPIC = """
    schemaType serdeClassName isRegexPattern schemaProperties consumerProperties receiverQueueSize
    cryptoConfig poolMessages
    """


def test_files_in_the_tree_are_those_of_the_flow() -> None:
    folder = ROOT / function_configs.FOLDER
    there = {file.name: file.read_text() for file in folder.iterdir()}
    assert there == function_configs.files(), "scripts/deploy_functions --write-configs"


@pytest.mark.parametrize("stage", topics.STAGES)
def test_fields_are_pulsars(stage: handler.Stage) -> None:
    config = function_configs.config_of(stage, settings.Settings.model_construct())
    assert set(config) <= set(KNOWN.split())
    for spec in config["inputSpecs"].values():
        assert set(spec) <= set(KNOWN_OF_A_TOPIC.split())


def test_classes_exist_under_these_names() -> None:
    names = [function_configs.class_of(stage) for stage in topics.STAGES]
    assert names == [f"{it.__module__}.{it.__qualname__}" for it in CLASSES]
    assert f"{function.Bytes.__module__}.{function.Bytes.__qualname__}" == function_configs.SERDE


@pytest.mark.parametrize("stage", topics.STAGES)
def test_nothing_is_lost_when_a_function_starts_or_goes(stage: handler.Stage) -> None:
    config = yaml.safe_load(function_configs.files()[f"{stage.name}.yaml"])
    for topic in stage.topics:
        assert config["subName"] in topics.subscriptions()[topic]
    assert config["subscriptionPosition"] == "Earliest"
    assert config["cleanupSubscription"] is False
    assert (config["processingGuarantees"], config["autoAck"]) == ("MANUAL", False)


def test_topics_are_in_the_namespace_of_the_settings() -> None:
    place = settings.PulsarSettings(tenant="other", namespace="place")
    options = settings.Settings.model_construct(pulsar=place)
    config = function_configs.config_of(topics.PAYMENT, options, 3)
    assert list(config["inputSpecs"]) == [
        "persistent://other/place/orders.accepted",
        "persistent://other/place/payments.commands",
    ]
    assert (config["tenant"], config["namespace"], config["parallelism"]) == ("other", "place", 3)


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    assert len(function_configs.write_files(tmp_path / "new")) == len(topics.STAGES)
    assert function_configs.write_files(tmp_path / "new") == []
