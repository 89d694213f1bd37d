"""Generated situations through both translations, and of each difference the smallest manifests that show it.

python -m tests.differential.generated_run --seed 7 --rounds 20
"""

from __future__ import annotations

import argparse
import copy
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tests.differential.generated import OPTIONS, SITUATIONS, Situation, namespaces, situations_of
from tests.differential.generated_surroundings import NODE
from tests.differential.translation import translate

_AT_ONCE: Final = 150
"""Smaller variants that share one run of the original."""
_LOOKED_INTO: Final = frozenset(("spec", "endpoints"))
_KEPT: Final = frozenset(("apiVersion", "kind", "metadata", "name", "namespace", "secret", "configMap"))


def options_of(seed: int) -> list[str]:
    """The provider's options of a round, as arguments."""
    return [f"--providers.kubernetescrd.{one}" for one in OPTIONS[seed % len(OPTIONS)]]


def differences(situations: Sequence[Situation], options: Sequence[str]) -> dict[int, list[str]]:
    """By the number of the situation, which are found by the names of their namespaces; -1: nobody's."""
    manifests = "\n---\n".join([NODE, *(one.manifests(number) for number, one in enumerate(situations))])
    found: dict[int, list[str]] = {}
    for line in translate(manifests, options).differences():
        found.setdefault(_owner(line, len(situations)), []).append(line)
    return found


def _owner(line: str, count: int) -> int:
    _, name, *_ = line.split(" ")
    place, *_ = re.split("[-_]", name)
    return next((number for number in range(count) if place in namespaces(number)), -1)


def smallest(situation: Situation, options: Sequence[str]) -> tuple[Situation, list[str]]:
    """Take away parts as long as a difference stays; what is left, with its differences."""
    lines: list[str] = []
    while True:
        variants = list(_variants(situation))[:_AT_ONCE]
        found = {number: one for number, one in differences(variants, options).items() if number >= 0}
        if not found:
            return situation, lines or differences([situation], options).get(0, [])
        first = min(found)
        situation, lines = variants[first], found[first]


def _variants(situation: Situation) -> Iterator[Situation]:
    """Each without one part: whole objects first, the largest gain."""
    objects = situation.objects
    half = len(objects) // 2
    if half > 2:
        yield Situation(objects[:half])
        yield Situation(objects[half:])
    for index in range(len(objects)):
        yield Situation(objects[:index] + objects[index + 1 :])
    for index, whole in enumerate(objects):
        for path in _paths(whole):
            smaller = copy.deepcopy(whole)
            _remove(smaller, path)
            yield Situation([*objects[:index], smaller, *objects[index + 1 :]])


def _paths(value: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in parts:
        if key not in _KEPT and (so_far or key in _LOOKED_INTO):
            if so_far:
                yield (*so_far, key)
            yield from _paths(member, (*so_far, key))


def _remove(value: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        value = value[key]
    del value[path[-1]]


def _smallest_text(situation: Situation, options: Sequence[str]) -> str:
    small, lines = smallest(situation, options)
    return "\n".join([small.manifests(0), *lines[:5]])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; the next ones count up")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--situations", type=int, default=SITUATIONS, help="of each round")
    given = parser.parse_args(arguments)
    failed = 0
    for seed in range(given.seed, given.seed + given.rounds):
        situations, options = situations_of(seed, given.situations), options_of(seed)
        found = differences(situations, options)
        print(f"seed {seed}: {len(situations)} situations, {len(found)} differ ({' '.join(options)})", flush=True)
        for number, lines in list(found.items())[:3]:
            failed += 1
            if number >= 0:
                print(_smallest_text(situations[number], options), flush=True)
            else:
                print("\n".join(lines[:5]), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
