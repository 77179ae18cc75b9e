"""The API server knows what waits for any stage, and what is not recorded yet."""

from internal.flow import lookout, topics
from internal.host import api
from internal.infra import bus


async def test_all_stages_count_and_the_first_one_apart() -> None:
    backlog: lookout.Watcher = (waiting := api.StageBacklog())
    assert (waiting.orders(), waiting.unrecorded()) == (0, 0)
    wanted = {topics.PLACED: 5, topics.ORDER_COMMANDS: 1, topics.ACCEPTED: 70, topics.PAID: 900}
    found = [
        bus.Subscribed(topic, name, 1, wanted[topic], 0, 0)
        for topic, name in topics.STAGE_OF
        if topic in wanted
    ]
    await backlog.see(found)
    assert (waiting.orders(), waiting.unrecorded()) == (976, 6)
    backlog.miss()
    assert (waiting.orders(), waiting.unrecorded()) == (976, 6)
    await backlog.see([])
    assert (waiting.orders(), waiting.unrecorded()) == (0, 0)
