"""What was delivered on each day, in bounded memory."""

from consumer.delivery.daily import DAY_S, MAX_DAYS, MAX_NAME_CHARS, MAX_NAMES, Days, merged
from consumer.outcomes import EventType

TRACK = EventType.TRACK


def test_names_beyond_the_bound_are_counted_as_other() -> None:
    """Somebody puts an id into the event's name."""
    days = Days()
    for number in range(MAX_NAMES + 50):
        days.count(TRACK, f"Viewed {number}", 0.0)
    days.count(TRACK, "Viewed 0", 1.0)
    [day] = days
    assert (len(day.names), day.other, day.names[TRACK, "Viewed 0"]) == (MAX_NAMES, 50, 2)


def test_several_are_counted_as_each_for_itself() -> None:
    """Those of a call."""
    days = Days()
    days.count(TRACK, "Viewed", 0.0, 3)
    days.count(TRACK, "Viewed", 1.0, 2)
    [day] = days
    assert day.names[TRACK, "Viewed"] == 5


def test_a_name_is_cut() -> None:
    """It may be as long as a record."""
    days = Days()
    days.count(TRACK, "x" * 1_000_000, 0.0)
    [day] = days
    assert [len(name) for _, name in day.names] == [MAX_NAME_CHARS]


def test_the_oldest_day_goes_and_a_clock_that_is_put_back_begins_none() -> None:
    """Days are of UTC; a process runs for months."""
    days = Days()
    for number in range(MAX_DAYS + 3):
        days.count(TRACK, "Clicked", number * DAY_S + 1.0)
    days.count(TRACK, "Clicked", 1.0)
    found = list(days)
    assert [day.number for day in found] == list(range(3, MAX_DAYS + 3))
    assert found[-1].names[TRACK, "Clicked"] == 2


def test_routes_are_added_up() -> None:
    """Each counts for itself."""
    one, two = Days(), Days()
    one.count(TRACK, "Clicked", 0.0)
    two.count(TRACK, "Clicked", 0.0)
    two.count(EventType.GROUP, "", DAY_S)
    whole = merged([one, two])
    assert [(day.number, dict(day.names)) for day in whole] == [
        (0, {(TRACK, "Clicked"): 2}),
        (1, {(EventType.GROUP, ""): 1}),
    ]
