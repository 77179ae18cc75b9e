"""Each function's configuration for the functions worker, derived from the flow, and its files.

The fields are those of Pulsar's FunctionConfig. Omissions matter as much: no output topic (a stage
publishes by itself, with keys), no log topic, no dead-letter topic and no retries (the runtime
ignores or refuses them for Python), no resources (they have no effect in the process runtime).
"""

from pathlib import Path
from typing import Any

import yaml

from internal.flow import topics
from internal.infra import settings
from internal.pipeline import handler

FOLDER = Path("configs", "functions")
RECEIVER_QUEUE_MESSAGES = 1_000
"""Prefetched by an instance from all partitions of a topic: a few batches."""
SERDE = "internal.pipeline.function.Bytes"
"""Leaves messages as bytes; the runtime's default guesses numbers in them."""
HEADER = """\
# Written by scripts/deploy_functions --write-configs from internal/flow/topics.py: change that.
# scripts/deploy_functions deploys it; by hand:
#   pulsar-admin functions create --function-config-file {file} --py souk-….whl
"""

Config = dict[str, Any]


def config_of(stage: handler.Stage, options: settings.Settings, parallelism: int = 1) -> Config:
    """Return a stage's FunctionConfig."""
    place = options.pulsar
    return {
        "tenant": place.tenant,
        "namespace": place.namespace,
        "name": str(stage.name),
        "className": class_of(stage),
        "runtime": "PYTHON",
        "inputSpecs": {
            place.topic(topic): {
                "serdeClassName": SERDE,
                # Each partition has a queue of its own.
                "receiverQueueSize": RECEIVER_QUEUE_MESSAGES // options.topics.partitions,
            }
            for topic in stage.topics
        },
        # A redeployed function continues where it stopped: always on the same subscription.
        "subName": str(stage.subscription),
        # By default the subscription would skip all messages from before the first start.
        "subscriptionPosition": "Earliest",
        # By default the subscription and its backlog would be deleted with the function.
        "cleanupSubscription": False,
        # Key_Shared: an order's messages stay in order, whatever the parallelism.
        "retainKeyOrdering": True,
        # The stage acknowledges once an order is recorded and sent on.
        "processingGuarantees": "MANUAL",
        "autoAck": False,
        "parallelism": parallelism,
    }


def class_of(stage: handler.Stage) -> str:
    """Return the path of a stage's class: functions.order_processing.OrderProcessing."""
    camel = "".join(word.capitalize() for word in stage.name.split("_"))
    return f"functions.{stage.name}.{camel}"


def files() -> dict[str, str]:
    """Return {file name: text} of the configurations in the default tenant and namespace."""
    options = settings.Settings.model_construct()
    return {f"{stage.name}.yaml": _text(stage, options) for stage in topics.STAGES}


def write_files(folder: Path) -> list[Path]:
    """Write the configurations; return the files that have changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in files().items():
        file = folder / name
        if not file.is_file() or file.read_text() != text:
            file.write_text(text)
            changed.append(file)
    return changed


def _text(stage: handler.Stage, options: settings.Settings) -> str:
    header = HEADER.format(file=FOLDER / f"{stage.name}.yaml")
    return header + yaml.safe_dump(config_of(stage, options), sort_keys=False)
