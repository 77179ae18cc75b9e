"""The limits that callers share: nobody gets more than a share once they are used up."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from internal.api.limits import call_limits


class TestConcurrencyLimit:
    def test_a_connection_may_use_all_places_alone(self) -> None:
        limit = call_limits.ConcurrencyLimit(4, 1, 1)
        assert [limit.enter("a") for _ in range(6)] == [True] * 4 + [False] * 2

    def test_another_connection_gets_its_share_of_full_places(self) -> None:
        limit = call_limits.ConcurrencyLimit(4, 1, 1)
        for _ in range(20):
            limit.enter("a")
        assert [limit.enter("b") for _ in range(3)] == [True, True, False]
        assert not limit.enter("a")

    @given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=200))
    def test_places_are_bounded_and_given_back(self, steps: list[tuple[str, bool]]) -> None:
        limit = call_limits.ConcurrencyLimit(8, 1, 1)
        served: list[str] = []
        for connection, is_entering in steps:
            if is_entering:
                if limit.enter(connection):
                    served.append(connection)
                else:
                    limit.leave(connection)
            elif connection in served:
                served.remove(connection)
                limit.leave(connection)
            assert limit.open_calls == len(served) <= 2 * limit.calls_max
        for connection in served:
            limit.leave(connection)
        assert limit.open_calls == 0
        assert limit.enter("a")

    @given(st.integers(1, 30), st.integers(1, 500))
    def test_a_connection_without_calls_gets_in(self, others: int, calls_each: int) -> None:
        limit = call_limits.ConcurrencyLimit(64, 1, 1)
        for _ in range(calls_each):
            for other in range(others):
                if not limit.enter(str(other)):
                    limit.leave(str(other))
        assert limit.enter("mine")


class TestUnreadAnswers:
    def test_large_answers_are_limited_and_small_ones_are_not(self) -> None:
        unread = call_limits.UnreadAnswers(100_000)
        assert [unread.add(40_000) for _ in range(3)] == [True, True, False]
        assert unread.add(call_limits.SMALL_ANSWER_BYTES)
        unread.remove(40_000)
        assert unread.add(40_000)
        assert unread.bytes == 80_000 + call_limits.SMALL_ANSWER_BYTES


class TestTurns:
    async def test_one_at_a_time_and_merchants_in_turn(self) -> None:
        turns, order, running = call_limits.Turns(), [], Counter[str]()

        async def work(merchant_id: str) -> None:
            async with turns.turn_of(merchant_id):
                running["now"] += 1
                assert running["now"] == 1
                await asyncio.sleep(0)
                order.append(merchant_id)
                running["now"] -= 1

        await asyncio.gather(*(work(m) for m in ["a"] * 5 + ["b"] * 2 + ["c"]))
        assert order == ["a", "a", "b", "c", "a", "b", "a", "a"]

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
    def test_a_cancelled_piece_of_work_passes_its_turn_on(
        self, pieces: list[tuple[str, bool]]
    ) -> None:
        async def scene() -> None:
            turns, done = call_limits.Turns(), Counter[int]()

            async def work(number: int, merchant_id: str) -> None:
                async with turns.turn_of(merchant_id):
                    await asyncio.sleep(0)
                    done[number] += 1

            tasks = [
                asyncio.create_task(work(number, merchant_id))
                for number, (merchant_id, _) in enumerate(pieces)
            ]
            await asyncio.sleep(0)
            for task, (_, is_cancelled) in zip(tasks, pieces, strict=True):
                if is_cancelled:
                    task.cancel()
                    await asyncio.sleep(0)
            await asyncio.gather(*tasks, return_exceptions=True)
            kept = {n for n, (_, is_cancelled) in enumerate(pieces) if not is_cancelled}
            assert kept <= set(done)

        asyncio.run(scene())
