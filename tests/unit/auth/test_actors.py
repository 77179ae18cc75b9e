"""An actor is added once, and is another one for another merchant or of another kind."""

import sqlalchemy as sa

from internal.auth import actors


def test_an_actor_has_one_key(any_database: sa.Connection) -> None:
    names = [("m-1", "OPERATOR", "olga"), ("m-1", "OPERATOR", "otto"), ("m-2", "OPERATOR", "olga")]
    names += [("m-1", "TILL", "olga"), ("m-1", "OPERATOR", "Olga")]
    keys = [actors.key_of(any_database, *name, 1) for name in names]
    assert len(set(keys)) == len(names)
    assert [actors.key_of(any_database, *name, 2) for name in names] == keys


def test_a_long_name_is_cut(any_database: sa.Connection) -> None:
    first, again = (actors.key_of(any_database, "m-1", "OPERATOR", "o" * 99, 1) for _ in range(2))
    assert first == again


def test_actors_have_names_for_people(any_database: sa.Connection) -> None:
    olga, key = (
        actors.key_of(any_database, "m-1", kind, name, 1)
        for kind, name in ((actors.OPERATOR, "olga"), (actors.API_KEY, "0123456789ab"))
    )
    named = actors.names_of(any_database, [key, olga, 99])
    assert named == {olga: "OPERATOR olga", key: "API_KEY 0123456789ab"}
    assert actors.names_of(any_database, []) == {}
