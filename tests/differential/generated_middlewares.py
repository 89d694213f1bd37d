"""Drawn middlewares of every kind and requests that aim at them, through the original and through us.

    python -m tests.differential.generated_middlewares --seed 7 --rounds 20 [--only compress]

Each difference is printed with middlewares, request, what the server was told to answer, and both outcomes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.differential.generated_middlewares_calls import described
from tests.differential.generated_middlewares_ground import MiddlewareGround
from tests.differential.generated_middlewares_known import is_known, reduced
from tests.differential.generated_middlewares_plan import Route, routes_of


def differences(ground: MiddlewareGround, routes: Sequence[Route]) -> Iterator[str]:
    """A text for each that nobody meant."""
    for route in routes:
        theirs, ours = (list(ground.outcomes(proxy, route)) for proxy in ground.proxies)
        for call, one, other in zip(route.calls, theirs, ours, strict=False):  # held calls are one
            their, our = reduced(route, call, one), reduced(route, call, other)
            if their != our and not is_known(route, call, their, our):
                yield f"--- m{route.number} {described(route.specs, call)}\n{_shown(their, our)}"
                break


def _shown(their: Any, our: Any, place: str = "") -> str:
    """The members that differ."""
    if isinstance(their, dict) and isinstance(our, dict):
        names = [name for name in {**their, **our} if their.get(name) != our.get(name)]
        return "\n".join(_shown(their.get(name), our.get(name), f"{place}.{name}") for name in names)
    if isinstance(their, list) and isinstance(our, list):
        same = len(their) == len(our)
        their, our = (
            [one for one in mine if not same or one not in others] for mine, others in ((their, our), (our, their))
        )
    return f"{place}\n  theirs {their!r}\n  ours   {our!r}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; the next ones count up")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="one kind of middleware")
    given = parser.parse_args(arguments)
    failed = 0
    for seed in range(given.seed, given.seed + given.rounds):
        routes = routes_of(seed, given.only)
        with tempfile.TemporaryDirectory() as folder, MiddlewareGround(routes, Path(folder)) as ground:
            found = list(differences(ground, routes))
            ambiguous = ground.server.record.ambiguous
        print(f"seed {seed}: {len(routes)} routes, {len(found)} differ, {ambiguous}", flush=True)
        print("\n".join(found), flush=True)
        failed += len(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
