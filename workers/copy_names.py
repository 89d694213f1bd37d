"""Names of the copies that routers get for entry points, so that a copy never bears another router's name.

Traefik joins entry point and name by a dash, and so do we: `web-team-app…` for the router `team-app…`. A
namespace that is called like an entry point can have a router of just that name (`web-team` with its `app`), and
two entry points can lead to the same copy. In Traefik one of the two is then served and the other is not, by
chance. Here both are: the copy is joined by a colon, which Kubernetes has in no name, and shows a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

SEPARATOR: Final = ":"
CONFLICTED: Final = "conflicted"


class CopyNames:
    """`entry_points`: all for HTTP; `modelled`: those with a model.

    What a copy is called follows from the names of configured routers alone, not from the order of events.
    """

    def __init__(self, entry_points: Iterable[str], modelled: Iterable[str]) -> None:
        models = list(modelled)
        prefixes = {*models, *(f"{one}-{CONFLICTED}" for one in (*entry_points, *models))}
        prefixes |= {f"{one}-{CONFLICTED}-{one}" for one in models}
        self._prefixes = sorted(prefixes)
        self._rests = {
            prefix: [
                f"{longer.removeprefix(f'{prefix}-')}-"
                for longer in self._prefixes
                if longer.startswith(f"{prefix}-")
            ]
            for prefix in self._prefixes
        }
        self._all_rests = sorted({rest for rests in self._rests.values() for rest in rests})

    def name_of(self, usual: str, source: str, configured: Collection[str]) -> str:
        """Name of the copy that Traefik calls `usual`, of the router `source`; `configured` has all routers."""
        if usual == source:
            return source
        prefix = usual[: -len(source) - 1]
        if usual in configured or any(
            source.startswith(rest) and source.removeprefix(rest) in configured
            for rest in self._rests.get(prefix, ())
        ):
            return f"{prefix}{SEPARATOR}{source}"
        return usual

    def touched_by(self, name: str) -> Iterator[str]:
        """Names of routers whose copies may be called otherwise once a router of this name comes or goes."""
        for prefix in self._prefixes:
            if name.startswith(f"{prefix}-"):
                yield name.removeprefix(f"{prefix}-")
        for rest in self._all_rests:
            yield f"{rest}{name}"
