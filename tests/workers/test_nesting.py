"""Services within services without end: an error of the routers that lead there, and of nothing else."""

from __future__ import annotations

import pytest

from config.http import Router, Service
from tests.workers.fakes import balancer, router, weighted
from tests.workers.test_runtime import P, runtime
from workers.building import DEEPEST_NESTING
from workers.runtime import Runtime

TOO_DEEP = f"more than {DEEPEST_NESTING} services in each other"


def nested(depth: int, **routers: Router | None) -> Runtime:
    """Service s0 holds s1, and so on; a router without a part in it is there, too."""
    services: dict[str, Service | None] = {f"s{level}": weighted(f"s{level + 1}") for level in range(depth - 1)}
    services |= {f"s{depth - 1}": balancer(), "apart": balancer()}
    return runtime({**routers, "z": router("Host(`z`)", "apart")}, services)


@pytest.mark.parametrize("depth", [DEEPEST_NESTING, DEEPEST_NESTING + 1, 3000])
def test_from_above(depth: int) -> None:
    made = nested(depth, a=router("Host(`a`)", "s0"))
    state = made.routers["a" + P]
    assert (state.route is not None) == (depth <= DEEPEST_NESTING)
    assert (TOO_DEEP in " ".join(state.errors)) == (depth > DEEPEST_NESTING)
    assert made.routers["z" + P].route is not None


def test_from_below() -> None:
    """The deep ones are built first, each for a router of its own: none of them stands deep at that time."""
    depth = 3 * DEEPEST_NESTING
    routers: dict[str, Router | None] = {
        f"a{depth - level:04}": router(f"Host(`{level}`)", f"s{level}") for level in range(depth)
    }
    made = nested(depth, **routers)
    served = [name for name, state in made.routers.items() if state.route is not None]
    assert len(served) == DEEPEST_NESTING + 1
    assert made.routers["z" + P].route is not None
    assert TOO_DEEP in " ".join(made.routers[f"a{depth:04}" + P].errors)
