"""Bulk statements as data: templates are cut at their fields, and nowhere else."""

import sqlalchemy as sa

from internal.infra import bulk, columns, statements

TABLE = sa.Table("t", sa.MetaData(), columns.number("a"), columns.number("b"))


def test_a_template_is_cut_at_its_fields() -> None:
    assert statements.pieces("SELECT w.a FROM {w} CROSS JOIN t ON t.a = {w.a} AND t.b = {w.b}") == (
        ("SELECT w.a FROM ", ""),
        (" CROSS JOIN t ON t.a = ", "a"),
        (" AND t.b = ", "b"),
    )
    assert statements.pieces("t.a > 0") == (("t.a > 0", None),)
    assert statements.pieces("") == ()


def test_keys_agree_in_both_tables() -> None:
    assert statements.same_in_both(("a", "b")) == "t.a = {w.a} AND t.b = {w.b}"


def test_equal_statements_share_what_is_cached_for_them() -> None:
    one, other = (
        statements.Update(TABLE, bulk.shape_of(TABLE, "a", "b"), ("a",), (("b", "{w.b}"),))
        for _ in range(2)
    )
    assert one == other
    assert hash(one) == hash(other)
    assert one.shape.names == ("a", "b")
    assert one != statements.Update(TABLE, one.shape, ("a",), one.changes, "t.b = 0")
