"""`prometheus@internal`: answers a scrape with what all workers have counted.

The snapshot is taken at once; text is made of it in the hub's thread pool, so that a scrape of many series keeps
no request waiting. Series of a router or service that is gone are shown once more, then never again, as the
original does: each worker remembers at which scrape they went, and scrapes are counted for all workers.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from cryptography import x509
from gevent import get_hub

from config.control_page import ControlPage
from config.counters import Tally
from config.static import StaticConfiguration
from tls.certificates import Certificate
from workers import exposition
from workers.exchange import Exchange
from workers.process_stats import pids_of, tree_stats
from workers.runtime import Runtime, shown_certificates
from workers.shared import SharedState

_TYPE: Final = (b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
_GZIP_LEVEL: Final = 1
_MOST_GONE: Final = 100_000


class Scraping:
    """The handler; `follow` is to be called with each runtime that comes into force."""

    def __init__(
        self, static: StaticConfiguration, page: ControlPage, shared: SharedState, runtime: Callable[[], Runtime]
    ) -> None:
        assert static.metrics is not None
        assert static.metrics.prometheus is not None
        self._options = static.metrics.prometheus
        self._entry_points = [name for name, one in static.entry_points.items() if one.protocol == "tcp"]
        self._page = page
        self._shared = shared
        self._runtime = runtime
        self._tally = shared.counters.tally()
        self._gone: dict[str, int] = {}
        """Scrapes so far when the router or service went."""
        self._certificates: dict[bytes, tuple[exposition.Labels, float]] = {}

    def follow(self, before: Runtime | None, now: Runtime) -> None:
        """Another configuration is in force."""
        tally = self._tally
        if now.number > tally[Tally.GENERATION]:
            tally[Tally.GENERATION], tally[Tally.APPLIED_AT] = now.number, int(time.time())
        if before is None:
            return
        scrapes = tally[Tally.SCRAPES]
        for old, new in ((before.routers, now.routers), (before.services, now.services)):
            if old is not new:
                self._gone.update(dict.fromkeys(old.keys() - new.keys(), scrapes))
        if len(self._gone) > _MOST_GONE:
            self._gone = {name: when for name, when in self._gone.items() if when == scrapes}

    def __call__(self, exchange: Exchange) -> None:
        snapshot = self._snapshot()
        wants_gzip = _accepts_gzip(exchange)
        body = get_hub().threadpool.apply(self._text, (snapshot, wants_gzip))
        headers = (_TYPE, (b"Content-Encoding", b"gzip")) if wants_gzip else (_TYPE,)
        exchange.respond(200, headers, body)

    def _snapshot(self) -> exposition.Snapshot:
        runtime, tally, shared = self._runtime(), self._tally, self._shared
        scrapes = tally[Tally.SCRAPES]
        tally[Tally.SCRAPES] = scrapes + 1
        return exposition.Snapshot(
            generation=tally[Tally.GENERATION],
            applied_at=tally[Tally.APPLIED_AT],
            entry_points=self._entry_points,
            live_slots=[slot.index for slot in self._page.live_slots()] or [shared.slot_index],
            used_slots=shared.used_slots,
            is_shown=partial(_is_shown, runtime.routers, runtime.services, dict(self._gone), scrapes),
            servers=list(_servers(runtime)),
            certificates=partial(self._ends, shown_certificates(runtime)),
            process=partial(tree_stats, pids_of(self._page)),
        )

    def _text(self, snapshot: exposition.Snapshot, wants_gzip: bool) -> bytes:
        text = exposition.text_of(self._options, self._shared.counters, snapshot)
        return gzip.compress(text, _GZIP_LEVEL) if wants_gzip else text

    def _ends(self, certificates: Sequence[Certificate]) -> Iterable[tuple[exposition.Labels, float]]:
        """Parsing is done once for a certificate. In the pool's thread."""
        known = self._certificates
        now = {one.digest: known.get(one.digest) or _end_of(one) for one in certificates}
        self._certificates = now
        return now.values()


def _is_shown(
    routers: Mapping[str, object], services: Mapping[str, object], gone: Mapping[str, int], scrapes: int, name: str
) -> bool:
    return name in routers or name in services or name.endswith("@internal") or gone.get(name) == scrapes


def _servers(runtime: Runtime) -> Iterable[tuple[str, str, bool]]:
    for name in sorted(runtime.checked):
        state = runtime.services.get(name)
        if state is not None and state.balanced is not None:
            for one in state.balanced.balancer.candidates:
                yield name, one.name, one.is_up


def _end_of(certificate: Certificate) -> tuple[exposition.Labels, float]:
    leaf = certificate.leaf
    names = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    try:
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        sans = sorted(alternatives.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        sans = []
    cn = names[0].value if names else ""
    labels = (cn if isinstance(cn, str) else cn.decode("latin-1"), str(leaf.serial_number), ",".join(sans))
    return labels, certificate.not_after


def _accepts_gzip(exchange: Exchange) -> bool:
    for value in exchange.request.received_values(b"accept-encoding"):
        for part in value.lower().split(b","):
            coding, _, weight = part.strip().partition(b";")
            if coding.strip() == b"gzip" and weight.replace(b" ", b"") not in (b"q=0", b"q=0.0"):
                return True
    return False
