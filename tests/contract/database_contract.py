"""The contract of every database behind internal.infra.db.Database, with bulk statements.

An implementation's own test file derives from `DatabaseContract` with a fixture `home`. Every test
has a scratch table of its own making; a server that many tests share will do.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pytest
import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.kernel import errors
from internal.kernel.money import INT64_MAX, INT64_MIN
from internal.payments.messages import AttemptState

SCRATCH = sa.MetaData()
THINGS = sa.Table(
    "contract_things",
    SCRATCH,
    columns.ident("owner", primary_key=True),
    columns.number("thing_no", primary_key=True),
    columns.words("words"),
    columns.document("document"),
    columns.number("amount"),
    columns.number("maybe", nullable=True),
    sa.CheckConstraint("amount <> 13", name="contract_no_13"),
)
NAMES = ("owner", "thing_no", "words", "document", "amount", "maybe")
KEY = ("owner", "thing_no")
ALL = bulk.shape_of(THINGS, *NAMES)
CHANGE = bulk.shape_of(THINGS, *KEY, more=THINGS.c.amount)

TEXTS = (
    "",
    " ",
    " both ends ",
    'it\'s "quoted" `so` and \\so',
    "100 % _ ? :name {w} --",
    "two\nlines\tand\r",
    "Grüße, 价格, السعر, ₿, 🛒👩‍👩‍👧",
    "e\u0301 is not \u00e9",
    "a\0b",
    "null",
    "12",
    "1e3",
    "x" * 500,
)
NUMBERS = (0, 1, -1, INT64_MAX, INT64_MIN, 2**53 + 1, -(2**53) - 1, 10**15)


ENDLESS = """
    SELECT COUNT(*) FROM contract_things a, contract_things b, contract_things c, contract_things d
    WHERE a.amount + b.amount + c.amount + d.amount > 100
"""
"""Among 400 rows it looks at 25,600,000,000 combinations."""


class Home(Protocol):
    """The storage of a database; several objects may be opened on it."""

    def open(self) -> db.Database:
        """Return an open database."""
        ...


@contextlib.asynccontextmanager
async def opened(home: Home) -> AsyncIterator[db.Database]:
    """Open a database with an empty scratch table, and drop the table in the end."""
    database = home.open()
    await database.write(SCRATCH.drop_all)
    await database.write(SCRATCH.create_all)
    try:
        yield database
    finally:
        await database.write(SCRATCH.drop_all)
        await database.close()


def thing(
    owner: str = "o", number: int = 1, amount: int = 0, maybe: int | None = None
) -> tuple[Any, ...]:
    return (owner, number, f"thing {number}", "{}", amount, maybe)


def put(connection: sa.Connection, *rows: Sequence[Any]) -> int:
    return bulk.insert(connection, THINGS, NAMES, rows)


def everything(connection: sa.Connection) -> list[tuple[Any, ...]]:
    query = sa.select(THINGS).order_by(THINGS.c.owner, THINGS.c.thing_no)
    return [tuple(row) for row in connection.execute(query)]


def amounts(connection: sa.Connection) -> dict[int, int]:
    return {row[1]: row[4] for row in everything(connection)}


class DatabaseContract:
    """Derive from it, with a fixture `home`."""

    @pytest.fixture
    async def database(self, home: Home) -> AsyncIterator[db.Database]:
        async with opened(home) as database:
            yield database

    @pytest.mark.parametrize("text", TEXTS)
    async def test_texts_come_back_as_they_were(self, database: db.Database, text: str) -> None:
        row = ("o", 1, text, text * 40, 0, None)
        await database.write(lambda c: put(c, row))
        assert await database.read(everything) == [row]
        assert await database.read(lambda c: self._select(c, [row])) == [row]

    @pytest.mark.parametrize("number", NUMBERS)
    async def test_numbers_come_back_as_they_were(self, database: db.Database, number: int) -> None:
        row = ("o", number, "", "", number, number)
        await database.write(lambda c: put(c, row))
        ((_, thing_no, _, _, amount, maybe),) = await database.read(everything)
        assert (thing_no, amount, maybe) == (number, number, number)
        assert await database.read(lambda c: self._select(c, [row])) == [row]

    async def test_enums_and_booleans_are_values(self, database: db.Database) -> None:
        row = ("o", 1, AttemptState.UNKNOWN, "", True, False)
        await database.write(lambda c: put(c, row))
        assert await database.read(everything) == [("o", 1, "UNKNOWN", "", 1, 0)]

    @staticmethod
    def _select(connection: sa.Connection, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Find rows by all of their values; return w's own values."""
        query = (
            "SELECT w.owner, w.thing_no, w.words, w.document, w.amount, w.maybe FROM {w}"
            " CROSS JOIN contract_things t ON t.owner = {w.owner} AND t.thing_no = {w.thing_no}"
            " AND t.words = {w.words} AND t.document = {w.document} AND t.amount = {w.amount}"
        )
        return [tuple(row) for row in bulk.select(connection, ALL, query, rows)]

    async def test_ids_are_compared_byte_by_byte(self, database: db.Database) -> None:
        owners = ["a", "A", "á", " a", "a\u0301", "\uff41", "12", "12.0", "0012"]
        await database.write(lambda c: put(c, *(thing(owner) for owner in owners)))
        keys = bulk.shape_of(THINGS, "owner")
        query = (
            "SELECT w.owner, COUNT(*) FROM {w} CROSS JOIN contract_things t ON t.owner = w.owner"
            " GROUP BY w.owner"
        )
        for owner in owners:
            find = functools.partial(bulk.select, shape=keys, query=query, rows=[(owner,)])
            rows = await database.read(find)
            assert [tuple(row) for row in rows] == [(owner, 1)]

    @pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257, 1_000, 5_000])
    async def test_any_number_of_rows_travels(self, database: db.Database, count: int) -> None:
        rows = [thing(number=number, amount=20) for number in range(count)]
        assert await database.write(lambda c: put(c, *rows)) == count
        found = await database.read(lambda c: self._select(c, rows))
        assert sorted(found) == sorted(rows)
        changes = [("o", number, 1) for number in range(count)]
        assert await database.write(lambda c: self._add(c, changes)) == count
        assert set((await database.read(amounts)).values()) == ({21} if count else set())

    async def test_more_rows_than_a_statement_takes_go_in_several(
        self, database: db.Database
    ) -> None:
        count = 2 * bulk.ROWS_MAX + 1
        rows = [thing(number=number, amount=20) for number in range(count)]
        await database.write(lambda c: self._put_deferred(c, *rows))
        keys = [row[:2] for row in rows]
        query = (
            "SELECT t.thing_no FROM {w} CROSS JOIN contract_things t"
            " ON t.owner = {w.owner} AND t.thing_no = {w.thing_no}"
        )
        shape = bulk.shape_of(THINGS, *KEY)
        locked = await database.write(lambda c: bulk.select(c, shape, query, keys, lock=True))
        assert [row.thing_no for row in locked] == list(range(count))

    @pytest.mark.parametrize("poor", [0, bulk.ROWS_MAX])
    async def test_a_guarded_change_in_several_statements_is_all_or_nothing(
        self, database: db.Database, poor: int
    ) -> None:
        """The one row that its guard keeps out is in the first part or in the last."""
        count = bulk.ROWS_MAX + 1
        rows = [thing(number=number, amount=2 - (number == poor)) for number in range(count)]
        await database.write(lambda c: put(c, *rows))
        guard = bulk.Guard("t.amount + {w.more} >= 0", "not all")
        changes = [("o", number, -2) for number in range(count)]
        with pytest.raises(errors.Conflict, match="not all"):
            await database.write(lambda c: self._add_deferred(c, changes, guard))
        found = await database.read(amounts)
        assert (sum(found.values()), found[poor]) == (2 * count - 1, 1)
        await database.write(lambda c: self._add_deferred(c, [("o", poor, 1)], bulk.NO_GUARD))
        await database.write(lambda c: self._add_deferred(c, changes, guard))
        assert set((await database.read(amounts)).values()) == {0}

    @staticmethod
    def _add(connection: sa.Connection, changes: Sequence[Sequence[Any]], guard: str = "") -> int:
        what = (("amount", "t.amount + {w.more}"),)
        return bulk.update(connection, THINGS, CHANGE, KEY, what, changes, guard=guard)

    async def test_an_update_counts_what_it_matched(self, database: db.Database) -> None:
        await database.write(lambda c: put(c, thing(number=1), thing(number=2), thing("p", 1)))
        changes = [("o", 1, 5), ("o", 2, 0), ("o", 9, 5)]
        assert await database.write(lambda c: self._add(c, changes)) == 2
        assert await database.read(everything) == [
            thing(number=1, amount=5),
            thing(number=2),
            thing("p", 1),
        ]

    async def test_a_guard_keeps_rows_out(self, database: db.Database) -> None:
        await database.write(lambda c: put(c, *(thing(number=n, amount=n) for n in range(5))))
        changes = [("o", number, -2) for number in range(5)]
        guard = "t.amount + {w.more} >= 0"
        assert await database.write(lambda c: self._add(c, changes, guard)) == 3
        assert await database.read(amounts) == {0: 0, 1: 1, 2: 0, 3: 1, 4: 2}

    async def test_several_columns_change_at_once_from_what_was_before(
        self, database: db.Database
    ) -> None:
        await database.write(lambda c: put(c, thing(amount=7)))
        what = bulk.assign("maybe", "words")
        shape = bulk.shape_of(THINGS, *KEY, "maybe", "words")
        changes = [("o", 1, 8, "new")]
        done = await database.write(lambda c: bulk.update(c, THINGS, shape, KEY, what, changes))
        assert done == 1
        assert await database.read(everything) == [("o", 1, "new", "{}", 7, 8)]

    @pytest.mark.parametrize("count", [1, 2, 70])
    async def test_columns_that_change_places_read_what_was_before(
        self, database: db.Database, count: int
    ) -> None:
        rows = [thing(number=n, amount=n + 100, maybe=n) for n in range(count)]
        await database.write(lambda c: put(c, *rows))
        what = (("amount", "t.maybe + {w.more}"), ("maybe", "t.amount"))
        changes = [("o", n, 500) for n in range(count)]
        done = await database.write(lambda c: bulk.update(c, THINGS, CHANGE, KEY, what, changes))
        assert done == count
        assert await database.read(everything) == [
            thing(number=n, amount=n + 500, maybe=n + 100) for n in range(count)
        ]

    @pytest.mark.parametrize("owners", [1, 2])
    @pytest.mark.parametrize("count", [1, 2, 3, 64, 65, 500, 501])
    @pytest.mark.parametrize("kinds", [1, 3])
    async def test_each_row_gets_its_own_values(
        self, database: db.Database, count: int, owners: int, kinds: int
    ) -> None:
        """With any number of rows, and any part of the key and of the values differing."""
        names = [(f"o{n % owners}", n) for n in range(count)]
        others = [("other", n) for n in range(count)]
        rows = [thing(*name, amount=20) for name in (*names, *others)]
        await database.write(lambda c: put(c, *rows))
        values = [('it\'s \\ "so"', 5, 20), (" ", None, 19), ("ü", -7, 21)][:kinds]
        changes = [(*name, *values[name[1] % kinds]) for name in names]
        shape = bulk.shape_of(THINGS, *KEY, "words", "maybe", least=THINGS.c.amount)
        what, guard = bulk.assign("words", "maybe"), "t.amount > {w.least} OR {w.least} = 20"
        done = await database.write(
            lambda c: bulk.update(c, THINGS, shape, KEY, what, changes, guard=guard)
        )
        wanted = {row[:2]: row for row in rows}
        met = [change for change in changes if change[-1] != 21]
        wanted |= {(o, n): (o, n, words, "{}", 20, maybe) for o, n, words, maybe, _ in met}
        assert done == len(met)
        assert {row[:2]: row for row in await database.read(everything)} == wanted

    async def test_a_text_too_long_for_its_column_finds_nothing(
        self, database: db.Database
    ) -> None:
        await database.write(lambda c: put(c, thing("o" * 40)))
        assert await database.write(lambda c: self._add(c, [("o" * 400, 1, 5)])) == 0
        assert await database.read(amounts) == {1: 0}

    @staticmethod
    def _put_deferred(connection: sa.Connection, *rows: Sequence[Any], conflict: str = "") -> None:
        bulk.insert_deferred(connection, THINGS, NAMES, rows, conflict)

    @staticmethod
    def _add_deferred(
        connection: sa.Connection, changes: Sequence[Sequence[Any]], guard: bulk.Guard
    ) -> None:
        what = (("amount", "t.amount + {w.more}"),)
        bulk.update_deferred(connection, THINGS, CHANGE, KEY, what, changes, guard)

    async def test_deferred_statements_keep_their_order(self, database: db.Database) -> None:
        def work(connection: sa.Connection) -> dict[int, int]:
            self._put_deferred(connection, thing(number=1), thing(number=2, amount=1))
            self._put_deferred(connection)
            self._add_deferred(connection, [("o", 1, 5)], bulk.Guard("t.amount = 0", "gone"))
            seen = amounts(connection)
            self._add_deferred(connection, [("o", 1, 5), ("o", 2, 5)], bulk.NO_GUARD)
            return seen

        assert await database.write(work) == {1: 5, 2: 1}
        assert await database.read(amounts) == {1: 10, 2: 6}

    async def test_deferred_statements_take_any_size(self, database: db.Database) -> None:
        rows = [("o", number, "", "x'\"\\" * 500, 1, None) for number in range(4_000)]

        def work(connection: sa.Connection) -> None:
            for start in (0, 10, 500):
                self._put_deferred(connection, *rows[start : {0: 10, 10: 500, 500: 4_000}[start]])
            self._add_deferred(
                connection, [("o", n, 1) for n in range(4_000)], bulk.Guard("", "gone")
            )

        await database.write(work)
        assert set((await database.read(amounts)).values()) == {2}

    async def test_a_deferred_conflict_leaves_nothing(self, database: db.Database) -> None:
        await database.write(lambda c: put(c, thing(number=1)))

        def add_known(connection: sa.Connection) -> None:
            self._put_deferred(connection, thing(number=2))
            self._put_deferred(connection, thing(number=1), conflict="somebody was first")
            self._put_deferred(connection, thing(number=3))

        def change_unknown(connection: sa.Connection) -> None:
            self._add_deferred(connection, [("o", 1, 5), ("o", 9, 5)], bulk.Guard("", "not all"))
            self._put_deferred(connection, thing(number=2))

        for work, what in ((add_known, "somebody was first"), (change_unknown, "not all")):
            with pytest.raises(errors.Conflict, match=what):
                await database.write(work)
        assert await database.read(amounts) == {1: 0}

    async def test_only_an_existing_key_is_a_race(self, database: db.Database) -> None:
        """Another broken constraint lasts: repeating the transaction would only take time."""
        with pytest.raises(sa.exc.IntegrityError):
            await database.write(
                lambda c: self._put_deferred(c, thing(amount=13), conflict="somebody was first")
            )
        assert await database.read(everything) == []

    async def test_a_deferred_error_is_raised_by_the_next_query_at_the_latest(
        self, database: db.Database
    ) -> None:
        await database.write(lambda c: put(c, thing(number=1)))
        reached = []

        def work(connection: sa.Connection) -> None:
            self._put_deferred(connection, thing(number=1))
            self._add_deferred(connection, [("o", 1, 5)], bulk.NO_GUARD)
            amounts(connection)
            reached.append(connection)

        with pytest.raises(sa.exc.IntegrityError):
            await database.write(work)
        with pytest.raises(sa.exc.IntegrityError):
            await database.write(lambda c: self._put_deferred(c, thing(number=2, amount=13)))
        assert not reached
        assert await database.read(amounts) == {1: 0}

    async def test_queries_are_answered_together(self, database: db.Database) -> None:
        await database.write(lambda c: put(c, thing(number=1), thing(number=2), thing("p", 1)))
        keys = bulk.shape_of(THINGS, "owner")
        query = (
            "SELECT t.owner, t.thing_no FROM {w} CROSS JOIN contract_things t"
            " ON t.owner = {w.owner} ORDER BY t.thing_no"
        )
        queries = [bulk.Query(keys, query, [(owner,)]) for owner in ("o", "unknown", "p")]
        nothing = bulk.Query(keys, query, [])
        answers = await database.read(lambda c: bulk.select_many(c, [*queries, nothing]))
        assert [[tuple(row) for row in rows] for rows in answers] == [
            [("o", 1), ("o", 2)],
            [],
            [("p", 1)],
            [],
        ]
        assert answers[0][1].thing_no == 2
        assert await database.read(lambda c: bulk.select_many(c, [])) == []
        wrong = bulk.Query(keys, "SELECT t.gone FROM {w} CROSS JOIN contract_things t", [("o",)])
        with pytest.raises(sa.exc.DBAPIError):
            await database.read(lambda c: bulk.select_many(c, [wrong, queries[0]]))
        assert len(await database.read(everything)) == 3

    async def test_an_error_after_deferred_statements_undoes_them(
        self, database: db.Database
    ) -> None:
        many = [("o", number, "", "x" * 1_000, 0, None) for number in range(500)]

        def work(connection: sa.Connection) -> None:
            self._put_deferred(connection, *many)
            self._put_deferred(connection, thing("p"))
            raise LookupError

        with pytest.raises(LookupError):
            await database.write(work)
        await database.write(lambda c: self._put_deferred(c, thing()))
        assert await database.read(everything) == [thing()]

    async def test_replace_replaces_rows_and_adds_new_ones(self, database: db.Database) -> None:
        await database.write(lambda c: put(c, thing(number=1), thing(number=2), thing("p", 1)))
        rows = [thing(number=2, amount=5), thing(number=3, amount=6)]
        await database.write(lambda c: bulk.replace(c, THINGS, KEY, NAMES, rows))
        await database.write(lambda c: bulk.replace(c, THINGS, KEY, NAMES, []))
        kept = [thing(number=1), *rows, thing("p", 1)]
        assert await database.read(everything) == kept

    async def test_replace_keeps_columns_that_it_does_not_know(self, database: db.Database) -> None:
        """A newer program may have added them."""
        known = [thing(number=number, maybe=number) for number in range(3)]
        await database.write(lambda c: put(c, *known))
        names = ("owner", "thing_no", "words", "document", "amount")
        rows = [("o", number, "new", "[]", 5) for number in range(2, 5)]
        await database.write(lambda c: bulk.replace(c, THINGS, KEY, names, rows))
        assert await database.read(everything) == [
            *known[:2],
            ("o", 2, "new", "[]", 5, 2),
            ("o", 3, "new", "[]", 5, None),
            ("o", 4, "new", "[]", 5, None),
        ]

    async def test_replace_tells_a_key_that_is_there_twice(self, database: db.Database) -> None:
        rows = [thing(amount=1), thing(amount=2)]
        with pytest.raises(sa.exc.IntegrityError):
            await database.write(lambda c: bulk.replace(c, THINGS, KEY, NAMES, rows))
        assert await database.read(everything) == []

    async def test_selecting_for_update_finds_the_rows(self, database: db.Database) -> None:
        await database.write(lambda c: put(c, thing(number=1), thing(number=2)))
        shape = bulk.shape_of(THINGS, *KEY)
        query = (
            "SELECT t.thing_no FROM {w} CROSS JOIN contract_things t"
            " ON t.owner = {w.owner} AND t.thing_no = {w.thing_no}"
        )
        rows = await database.write(
            lambda c: bulk.select(c, shape, query, [("o", 2), ("o", 3)], lock=True)
        )
        assert [tuple(row) for row in rows] == [(2,)]

    @pytest.mark.parametrize(
        "bad", [thing(number=300), ("o", 5, None, "", 0, None), thing(number=5, amount=13)]
    )
    async def test_a_broken_constraint_is_reported_and_undone(
        self, database: db.Database, bad: Sequence[Any]
    ) -> None:
        await database.write(lambda c: put(c, thing(number=300)))
        many = [thing(number=number) for number in range(1_000, 1_300)]
        with pytest.raises(sa.exc.IntegrityError):
            await database.write(lambda c: put(c, *many, bad))
        assert await database.read(everything) == [thing(number=300)]

    @pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, KeyError])
    async def test_a_transaction_that_raises_leaves_nothing(
        self, database: db.Database, error: type[BaseException]
    ) -> None:
        def work(connection: sa.Connection) -> None:
            put(connection, thing())
            raise error

        with pytest.raises(error):
            await database.write(work)
        assert await database.read(everything) == []
        await database.write(lambda c: put(c, thing()))
        assert await database.read(everything) == [thing()]

    async def test_a_transaction_is_repeated_as_a_whole(self, database: db.Database) -> None:
        runs = 0

        def work(connection: sa.Connection) -> int:
            nonlocal runs
            runs += 1
            put(connection, thing())
            if runs < 3:
                raise errors.DatabaseAway("deadlock")
            return runs

        assert await database.write(work) == 3
        assert await database.read(everything) == [thing()]

    async def test_repeating_has_an_end(self, database: db.Database) -> None:
        def work(connection: sa.Connection) -> None:
            put(connection, thing())
            raise errors.DatabaseAway("forever")

        with pytest.raises(errors.DatabaseAway, match="forever"):
            await database.write(work)
        assert await database.read(everything) == []

    @pytest.mark.parametrize("is_quick", [True, False])
    async def test_a_read_beyond_its_limit_is_ended_and_not_repeated(
        self, database: db.Database, *, is_quick: bool
    ) -> None:
        """The database itself ends it; the next read finds everything as it was."""
        many = [thing(number=number, amount=1) for number in range(400)]
        await database.write(lambda c: put(c, *many))
        runs = 0

        def endless(connection: sa.Connection) -> None:
            nonlocal runs
            runs += 1
            connection.exec_driver_sql(ENDLESS)

        with pytest.raises(errors.TooMuchAtOnce):
            await database.read(endless, is_quick=is_quick, limit_s=0.1)
        assert runs == 1
        assert len(await database.read(everything, limit_s=60)) == 400

    async def test_a_mistake_in_the_sql_is_not_an_outage(self, database: db.Database) -> None:
        with pytest.raises(sa.exc.DBAPIError) as caught:
            await database.write(lambda c: c.execute(sa.text("SELECT * FROM contract_nothing")))
        assert not isinstance(caught.value, errors.SoukError)

    async def test_an_error_shows_no_values(self, database: db.Database) -> None:
        row = ("o", 1, "tok_of_somebody", "", 13, None)
        with pytest.raises(sa.exc.IntegrityError) as caught:
            await database.write(lambda c: put(c, row))
        assert "tok_of_somebody" not in str(caught.value)

    async def test_writers_take_turns(self, database: db.Database, home: Home) -> None:
        """No change is lost, through either object."""
        await database.write(lambda c: put(c, thing()))
        another = home.open()

        def work(connection: sa.Connection) -> None:
            shape = bulk.shape_of(THINGS, *KEY)
            query = (
                "SELECT t.amount FROM {w} CROSS JOIN contract_things t"
                " ON t.owner = {w.owner} AND t.thing_no = {w.thing_no}"
            )
            ((before,),) = bulk.select(connection, shape, query, [("o", 1)], lock=True)
            this = THINGS.c.thing_no == 1
            after = before + (2 if before == 12 else 1)  # 13 is not allowed
            connection.execute(THINGS.update().where(this).values(amount=after))

        try:
            writers = [database, another] * 20
            await asyncio.gather(*(one.write(work) for one in writers))
        finally:
            await another.close()
        assert await database.read(amounts) == {1: 41}

    async def test_a_reader_sees_what_is_committed(self, database: db.Database, home: Home) -> None:
        """A commit is seen whole, also through another object."""
        another = home.open()
        stop = asyncio.Event()
        seen: set[int] = set()

        async def look() -> None:
            while not stop.is_set():
                seen.add(len(await another.read(everything)))

        looking = asyncio.create_task(look())
        try:
            for batch in range(10):
                rows = [thing(number=batch * 10 + place) for place in range(10)]
                await database.write(functools.partial(self._put_one_by_one, rows))
            assert len(await another.read(everything)) == 100
        finally:
            stop.set()
            await looking
            await another.close()
        assert all(count % 10 == 0 for count in seen)

    @staticmethod
    def _put_one_by_one(rows: Sequence[Sequence[Any]], connection: sa.Connection) -> None:
        for row in rows:
            put(connection, row)

    async def test_a_reader_keeps_its_snapshot(self, database: db.Database, home: Home) -> None:
        """The other write comes from another thread: `work` may block this one's loop."""
        await database.write(lambda c: put(c, thing(number=1)))

        def work(connection: sa.Connection) -> tuple[int, int]:
            first = len(everything(connection))
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(asyncio.run, add_another(home)).result(10)
            return first, len(everything(connection))

        assert await database.read(work) == (1, 1)
        assert await database.read(lambda c: len(everything(c))) == 2


async def add_another(home: Home) -> None:
    """Write one more thing, through an object of its own."""
    another = home.open()
    await another.write(lambda c: put(c, thing(number=2)))
    await another.close()
