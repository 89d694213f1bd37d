"""What went wrong while a router, service or middleware was made from its configuration."""

from __future__ import annotations

from typing import Final

DEEPEST_NESTING: Final = 50
"""So many services within each other; many more would be the end of Python's stack, and of what it is doing."""


class BuildError(Exception):
    """It cannot be built, and neither can what leads to it; the message is what the API shows."""


def levels_above(parent: str, parents_levels: int, childs_levels: int) -> int:
    """Levels of services in one that has this child, too. Raises BuildError where they are too many.

    Counted from below, as a child may have been built long before somebody was put above it.
    """
    levels = max(parents_levels, childs_levels + 1)
    if levels > DEEPEST_NESTING:
        raise BuildError(
            f"could not instantiate service {parent}: more than {DEEPEST_NESTING} services in each other"
        )
    return levels
