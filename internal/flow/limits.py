"""The pipeline's own options, taken from the settings: the same in both engines."""

from internal.flow import janitor as watch
from internal.infra import settings
from internal.pipeline import handler


def limits(options: settings.Settings) -> handler.Limits:
    """Return how much a stage takes at a time."""
    return handler.Limits(
        options.stages.batch_orders_max,
        options.stages.effects_max,
        logs_every_fact=options.log.level == "DEBUG",
        suspect_messages=options.stages.unacked_messages_max,
    )


def janitor(options: settings.Settings) -> watch.Options:
    """Return how the watch over stuck orders looks."""
    chosen = options.janitor
    return watch.Options(chosen.interval_s, chosen.orders_max, chosen.redrive_after_s)
