"""How well each watched collection is known, and what follows: may we publish, is the view complete.

A kind that the API server does not serve (404) or does not let us read (403) counts as empty, makes the view
incomplete and is reported, while the others go on; only Services and EndpointSlices hold the first publication
back, as does an API server that does not answer at all. What was once learned stays in force through any
later trouble.
"""

from __future__ import annotations

from config.findings import Finding
from provider.kube.errors import ApiError, Forbidden, KindMissing
from provider.kube.informer import Feed


class Feeds:
    """The state of all feeds; fed by the main loop."""

    def __init__(self) -> None:
        self._listed: dict[Feed, bool] = {}
        self._trouble: dict[Feed, ApiError] = {}

    def expect(self, feed: Feed) -> None:
        """A watch of this feed has been started."""
        self._listed[feed] = False

    def listed(self, feed: Feed) -> None:
        self._listed[feed] = True
        self._trouble.pop(feed, None)

    def in_order(self, feed: Feed) -> None:
        self._trouble.pop(feed, None)

    def in_trouble(self, feed: Feed, error: ApiError) -> None:
        self._trouble[feed] = error

    def __contains__(self, feed: Feed) -> bool:
        return feed in self._listed

    @property
    def complete(self) -> bool:
        """Every collection has been listed at least once."""
        return all(self._listed.values())

    @property
    def in_sync(self) -> bool:
        """Complete, and every collection follows the cluster now."""
        return self.complete and not self._trouble

    @property
    def settled(self) -> bool:
        """Every collection is listed or known to be out of reach for reasons that waiting does not cure."""
        return all(listed or self._counts_as_empty(feed) for feed, listed in self._listed.items())

    def findings(self) -> list[Finding]:
        """One finding for each feed in trouble; the kind is the collection's, the name is empty."""
        return [
            Finding(
                kind=feed.kind.name,
                namespace=feed.namespace,
                name="",
                severity="error",
                reason=error.reason,
                message=f"{error.message}; {self._consequence(feed)}",
                advice=error.advice,
            )
            for feed, error in sorted(self._trouble.items(), key=lambda item: _order(item[0]))
        ]

    def _counts_as_empty(self, feed: Feed) -> bool:
        return not feed.kind.essential and isinstance(self._trouble.get(feed), Forbidden | KindMissing)

    def _consequence(self, feed: Feed) -> str:
        if self._listed[feed]:
            return "what is known stays in force"
        if self._counts_as_empty(feed):
            return "served as if there were none"
        return "nothing is published before they are listed"


def _order(feed: Feed) -> tuple[str, str]:
    return feed.kind.name, feed.namespace
