"""What is fixed when the tables are made is compared at every start."""

import pytest
import sqlalchemy as sa

from internal.infra import fixed_settings, settings
from internal.kernel import errors

CHOSEN = settings.TopicSettings(shard_keys=32, partitions=8)


@pytest.fixture
def connection() -> sa.Connection:
    connection = sa.create_engine("sqlite://").connect()
    fixed_settings.FIXED_SETTINGS.create(connection)
    return connection


def test_the_first_start_stores_what_later_ones_must_have(connection: sa.Connection) -> None:
    fixed_settings.require(connection, CHOSEN)
    fixed_settings.keep(connection, CHOSEN)
    fixed_settings.keep(connection, CHOSEN)
    fixed_settings.require(connection, CHOSEN)


@pytest.mark.parametrize(
    ("name", "consequence"), [("shard_keys", "overtake earlier"), ("partitions", "two partitions")]
)
@pytest.mark.parametrize("check", [fixed_settings.keep, fixed_settings.require])
def test_another_value_is_refused_in_one_line(
    connection: sa.Connection, name: str, consequence: str, check: object
) -> None:
    fixed_settings.keep(connection, CHOSEN)
    changed = CHOSEN.model_copy(update={name: 16})
    words = (
        rf"SOUK_TOPICS__{name.upper()} is 16, .* made with {getattr(CHOSEN, name)}.*{consequence}"
    )
    with pytest.raises(errors.Misconfigured, match=words) as caught:
        check(connection, changed)  # type: ignore[operator] # one of the two
    assert "\n" not in str(caught.value)
    fixed_settings.keep(connection, CHOSEN)
