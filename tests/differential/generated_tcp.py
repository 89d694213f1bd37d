"""Drawn TCP routes and their middlewares through the original and through us.

    python -m tests.differential.generated_tcp --seed 7 --rounds 20

Compared are the objects in the API, and what clients hear who come from drawn addresses and stay connected.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.differential.generated_tcp_ground import SECTIONS, TCPGround
from tests.differential.generated_tcp_plan import ROUTES, TCPRoute, tcp_routes_of

PAUSES_SECONDS: Final = (0.02, 0.15, 0.7)


def tcp_differences(ground: TCPGround, routes: Sequence[TCPRoute]) -> Iterator[str]:
    """A text for each."""
    for section in SECTIONS:
        theirs, ours = (ground.objects(proxy, section) for proxy in ground.proxies)
        assert theirs
        for name in sorted({**theirs, **ours}):
            if theirs.get(name) != ours.get(name):
                yield f"--- {section} {name}\n  theirs {theirs.get(name)}\n  ours   {ours.get(name)}"
    for route in routes:
        # A connection that was closed may still count for a moment: whoever differs is asked again, in peace.
        for pause in PAUSES_SECONDS:
            their, our = (ground.outcomes(proxy, route, pause) for proxy in ground.proxies)
            if their == our:
                break
        else:
            yield _told(route, their, our)


def _told(route: TCPRoute, their: list[str], our: list[str]) -> str:
    lines = [f"--- r{route.number} {route.specs} {route.middlewares}", str(route.route), f"tls: {route.tls}"]
    for step, one, other in zip(route.steps, their, our, strict=True):
        lines.append(f"  {'  ' if one == other else '! '}{tuple(step)} theirs {one} ours {other}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; the next ones count up")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--routes", type=int, default=ROUTES)
    given = parser.parse_args(arguments)
    failed = 0
    for seed in range(given.seed, given.seed + given.rounds):
        routes = tcp_routes_of(seed, given.routes)
        with tempfile.TemporaryDirectory() as folder, TCPGround(routes, Path(folder)) as ground:
            found = list(tcp_differences(ground, routes))
        print(f"seed {seed}: {len(routes)} routes, {len(found)} differ", flush=True)
        print("\n".join(found), flush=True)
        failed += len(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
