"""How well each watched collection is known, and what follows: may we publish, is the view complete.

A kind whose CRD is missing (404) has no objects, which is all there is to know. A kind that we may not read (403)
counts as empty, makes the view incomplete and is reported, while the others go on. Two things hold the first
publication back: a kind without which every route would vanish (Services, EndpointSlices), and one that the
generation in force was made from, as the master's control page remembers over restarts of the provider. What
was once learned stays in force through any later trouble.
"""

from __future__ import annotations

from config.findings import Finding
from provider.kube.errors import ApiError, Forbidden, KindMissing
from provider.kube.informer import Feed
from provider.resources.kinds import KINDS

_BITS = {name: 1 << index for index, name in enumerate(KINDS)}


class Feeds:
    """The state of all feeds; fed by the main loop. `known_before`: kinds that an earlier provider had listed."""

    def __init__(self, known_before: int = 0) -> None:
        self._known_before = known_before
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

    def uninstalled(self, gone: Feed) -> None:
        """A kind that was listed here has gone after all its objects: the next provider need not wait for it."""
        if not self._listed[gone]:
            return
        self._known_before &= ~_BITS[gone.kind.name]
        for feed in self._listed:
            if feed.kind is gone.kind:
                self._listed[feed] = False

    def __contains__(self, feed: Feed) -> bool:
        return feed in self._listed

    @property
    def complete(self) -> bool:
        """Every collection has been listed at least once, or there is no such thing."""
        return all(listed or self._has_no_objects(feed) for feed, listed in self._listed.items())

    @property
    def in_sync(self) -> bool:
        """Complete, and every collection follows the cluster now."""
        return self.complete and all(self._has_no_objects(feed) for feed in self._trouble)

    @property
    def settled(self) -> bool:
        """Every collection is listed or known to be out of reach for reasons that waiting does not cure."""
        return all(listed or self.counts_as_empty(feed) for feed, listed in self._listed.items())

    @property
    def kinds_listed(self) -> int:
        """For the control page: bit n is set if kind n of KINDS has been listed, by us or by one before us."""
        unlisted = {feed.kind.name for feed, listed in self._listed.items() if not listed}
        ours = {feed.kind.name for feed in self._listed} - unlisted
        return self._known_before | sum(_BITS[name] for name in ours)

    def findings(self) -> list[Finding]:
        """One finding for each feed in trouble; the kind is the collection's, the name is empty."""
        return [
            Finding(
                kind=feed.kind.name,
                namespace=feed.namespace,
                name="",
                severity="warning" if self._has_no_objects(feed) else "error",
                reason=error.reason,
                message=f"{error.message}; {self._consequence(feed)}",
                advice=self._advice(feed, error),
            )
            for feed, error in sorted(self._trouble.items(), key=lambda item: _order(item[0]))
            if not self._is_of_no_concern(feed)
        ]

    def _is_of_no_concern(self, feed: Feed) -> bool:
        """A cluster without a kind of another project lacks nothing."""
        missing = isinstance(self._trouble[feed], KindMissing)
        return feed.kind.is_extra and missing and self._has_no_objects(feed)

    def counts_as_empty(self, feed: Feed) -> bool:
        """Not listed, and what needs it goes on without it."""
        held = feed.kind.essential or self._was_known(feed)
        return not held and isinstance(self._trouble.get(feed), Forbidden | KindMissing)

    def _has_no_objects(self, feed: Feed) -> bool:
        error = self._trouble.get(feed)
        missing = feed.kind.is_optional and isinstance(error, KindMissing)
        # the right to read a kind that is not installed may well have never been given: the server says 403 then
        missing = missing or (feed.kind.is_extra and isinstance(error, Forbidden))
        return missing and not self._listed[feed] and not self._was_known(feed)

    def _was_known(self, feed: Feed) -> bool:
        return bool(self._known_before & _BITS[feed.kind.name])

    def _consequence(self, feed: Feed) -> str:
        if self._listed[feed]:
            return "what is known stays in force"
        if self.counts_as_empty(feed):
            return "served as if there were none"
        if self._was_known(feed):
            return "they could be read before, so the configuration from then stays in force"
        return "nothing is published before they are listed"

    def _advice(self, feed: Feed, error: ApiError) -> str:
        if self._listed[feed] or feed.kind.essential or not self._was_known(feed):
            return error.advice
        return f"{error.advice}; if they are gone for good, restart (neither HUP nor USR2 will do)"


def _order(feed: Feed) -> tuple[str, str]:
    return feed.kind.name, feed.namespace
