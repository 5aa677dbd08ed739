"""What became different: two JSON values come in, the places that are not the same go out."""

from collections.abc import Iterator
from typing import Any, Final

from consumer.errors import RejectedError
from consumer.mapping.encode import draft

ABSENT: Final = object()


def changes(before: Any, after: Any, levels: int, path: str = "") -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Name each place by its dotted path, with what was there before and what is there now.

    Args:
        before: JSON.
        after: JSON.
        levels: How far down objects are compared name by name; deeper ones are compared as wholes.
        path: Of the two.
    """
    if before is after:
        return
    if levels and isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            inner = f"{path}.{name}" if path else str(name)
            yield from changes(before.get(name, ABSENT), after.get(name, ABSENT), levels - 1, inner)
    elif levels and _same_objects(before, after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from changes(*pair, levels - 1, f"{path}.{index}")
    elif not _equal(before, after):
        sides = {"before": before, "after": after}
        yield {"path": path} | {side: value for side, value in sides.items() if value is not ABSENT}


def _same_objects(before: Any, after: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether both are lists of as many objects: of other lists the whole says more than its places."""
    if not isinstance(before, list) or not isinstance(after, list) or len(before) != len(after):
        return False
    return all(isinstance(each, dict) for each in [*before, *after])


def _equal(before: Any, after: Any) -> bool:  # noqa: ANN401 - JSON
    if before is ABSENT or after is ABSENT:
        return False
    try:
        return draft(before) == draft(after)
    except RejectedError:  # nested too deeply to be compared
        return False
