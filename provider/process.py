"""The provider process: sources -> store -> builder -> sections -> publisher, in one loop, and its end.

Everything that happens arrives in one queue and is handled by the main thread, which alone owns the store.
The process ends when the master closes the channel, on SIGTERM, or by an error of ours: the master restarts
it, and the workers serve the last generation meanwhile.
"""

from __future__ import annotations

import logging
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

from config.collecting import QuietCollector
from config.control_page import ControlPage, Head
from config.findings import Finding
from config.logs import reopen_logs
from config.static import KubernetesCRD, StaticConfiguration
from provider.findings import FindingLog
from provider.giving_way import GivingWay, Pace
from provider.holdoff import Holdoff
from provider.kube.errors import KindMissing
from provider.kube.fetcher import Fetched
from provider.kube.informer import Changed, InOrder, InTrouble, Listed
from provider.kube.watch import Put
from provider.manifest_objects import ManifestsRead
from provider.options import TranslationOptions
from provider.pipelines import Pipelines
from provider.publish import MasterGone, Publisher
from provider.reporting import Reporting
from provider.resources.decode import Malformed
from provider.resources.kinds import KINDS, ObjectKey
from provider.sources import Sources
from provider.store import CLUSTER, MANIFESTS, Store
from provider.translate.readers import Readers
from provider.verdicts import Verdicts

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 1.0
DEAF_SECONDS: Final = 0.05
"""So long at most it is not noticed that the process is to end."""
LONGEST_TAKING_SECONDS: Final = 0.25
"""Where messages come faster than they are handled, what is known so far is built all the same."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process. `failed`: by an error of ours."""

    why: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ReopenLogs:
    pass


class Provider:
    """Wires the stages. `run` returns the process's exit code."""

    def __init__(
        self,
        static: StaticConfiguration,
        channel: socket.socket,
        page: ControlPage,
        environ: Mapping[str, str],
        version: str,
    ) -> None:
        """Raises SelectorError or ConnectionSettings for settings that cannot work."""
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stop: Stop | None = None
        self._channel = channel
        self._page = page
        readers = Readers()
        self._sources = Sources(
            static, environ, version, self._queue.put, readers.is_read, page[Head.KINDS_LISTED]
        )
        self._store = Store()
        for feed in self._sources.on_demand():
            self._store.expect(feed.kind, feed.namespace)
        self._pipelines = Pipelines(self._sources.options, readers)
        self._reporting = Reporting(static, self._sources, environ)
        self._verdicts = Verdicts(TranslationOptions.of(static.providers.kubernetes_crd or KubernetesCRD()))
        self._untold: set[ObjectKey] = set()
        self._publisher = Publisher(channel, page[Head.GENERATION])
        self._holdoff = Holdoff(
            self._sources.build_pause_seconds, static.providers.providers_throttle_duration_seconds
        )
        self._collector = QuietCollector()
        self._giving_way = GivingWay()
        self._finding_log = FindingLog()
        self._findings: list[Finding] = []
        self._findings_around: list[Finding] = []
        self._reported_all = True
        self._manifest_findings: list[Finding] = []
        self._awaits_manifests = self._sources.has_manifests
        self._published = False

    def run(self) -> int:
        """Until told to stop. Main thread only."""
        signal.signal(signal.SIGTERM, lambda *_: self._end(Stop("SIGTERM")))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is the master's to answer
        threading.excepthook = self._thread_failed
        threading.Thread(target=self._listen, name="channel", daemon=True).start()
        self._page[Head.PROVIDER_SYNCED] = 0
        self._holdoff.changed()
        self._sources.start()
        self._reporting.start()
        try:
            return self._loop()
        except MasterGone as error:
            log.info("the master is gone", extra={"error": error})
            return 0
        finally:
            self._page[Head.PROVIDER_SYNCED] = 0
            self._reporting.stop()
            self._sources.stop()

    def _loop(self) -> int:
        while True:
            stop = self._take_messages()
            self._page[Head.PROVIDER_HEARTBEAT_NS] = time.monotonic_ns()
            if stop is not None:
                log.log(logging.ERROR if stop.failed else logging.INFO, "provider stops: %s", stop.why)
                return 1 if stop.failed else 0
            self._advance(time.monotonic())

    def _take_messages(self) -> Stop | None:
        """Wait for something to do, then handle what has come meanwhile."""
        pace = Pace()
        try:
            message = self._next_message()
            until = time.monotonic() + LONGEST_TAKING_SECONDS
            while self._stop is None and time.monotonic() < until:
                self._handle(message)
                pace()
                message = self._queue.get_nowait()
            self._handle(message)
        except queue.Empty:
            pass
        return self._stop

    def _end(self, stop: Stop) -> None:
        """Any thread and a signal's handler: end soon, whatever waits in the queue."""
        self._stop = self._stop or stop
        self._queue.put(stop)  # who waits for a message gets one

    def _next_message(self) -> Any:
        """Raises queue.Empty where nothing comes for as long as there is nothing to do."""
        patience_seconds = self._patience(time.monotonic())
        if patience_seconds < HEARTBEAT_SECONDS:
            # A build is due, and not sooner for anything that comes: being woken by each message helps nobody.
            time.sleep(min(patience_seconds, DEAF_SECONDS))
            return self._queue.get_nowait()
        try:
            return self._queue.get(timeout=patience_seconds)
        except queue.Empty:
            self._collector.quiet()
            raise

    def _patience(self, now: float) -> float:
        due = self._holdoff.due_at() if self._may_build() else None
        return HEARTBEAT_SECONDS if due is None else min(HEARTBEAT_SECONDS, max(0.0, due - now))

    def _handle(self, message: Any) -> None:
        match message:
            case Listed():
                self._sources.feeds.listed(message.feed)
                kind, namespace = message.feed.kind, message.feed.namespace
                self._store.replace(kind, namespace, message.objects, CLUSTER)
                self._store.arrived(kind, namespace)
                self._holdoff.changed()
            case Changed():
                self._change(message)
            case InTrouble():
                self._take_trouble(message)
            case InOrder():
                self._sources.feeds.in_order(message.feed)
                self._holdoff.changed()
            case Fetched():
                self._take_fetched(message)
            case ManifestsRead():
                self._take_manifests(message)
            case ReopenLogs():
                reopen_logs()

    def _change(self, message: Changed) -> None:
        change = message.change
        if not isinstance(change, Put):
            changed = self._store.remove(change.key, CLUSTER)
        elif isinstance(change.resource, Malformed):
            changed = self._store.reject(change.resource, CLUSTER)
        else:
            changed = self._store.insert(message.feed.kind, change.resource, CLUSTER)
        if changed:
            self._holdoff.changed()

    def _take_trouble(self, message: InTrouble) -> None:
        feeds, kind, namespace = self._sources.feeds, message.feed.kind, message.feed.namespace
        feeds.in_trouble(message.feed, message.error)
        if feeds.counts_as_empty(message.feed):
            self._store.arrived(kind, namespace)
        if isinstance(message.error, KindMissing) and not any(self._store.keys(kind.name)):
            feeds.uninstalled(message.feed)
        self._report()
        self._holdoff.changed()

    def _take_fetched(self, message: Fetched) -> None:
        key, resource = message.key, message.resource
        if not self._store.is_unread(key):
            return  # the watch has brought it, or its end, meanwhile
        if resource is None:
            self._store.remove(key, CLUSTER)
        elif isinstance(resource, Malformed):
            self._store.reject(resource, CLUSTER)
        else:
            self._store.insert(KINDS[key.kind], resource, CLUSTER)
        self._holdoff.changed()

    def _take_manifests(self, read: ManifestsRead) -> None:
        for name, objects in read.objects.items():
            self._store.replace(KINDS[name], "", objects, MANIFESTS)
        self._manifest_findings = read.findings
        self._awaits_manifests = False
        self._holdoff.changed()

    def _may_build(self) -> bool:
        if self._awaits_manifests:
            return False
        return self._published or self._sources.feeds.settled

    def _advance(self, now: float) -> None:
        if self._may_build() and self._holdoff.is_due(now):
            with self._collector.change(), self._giving_way.work() if self._published else nullcontext():
                self._build()
        synced = self._published and self._sources.feeds.in_sync
        self._page[Head.PROVIDER_SYNCED] = int(synced)

    def _build(self) -> None:
        started = time.monotonic()
        changed = self._store.take_changed()
        if self._pipelines.update(self._store, changed):
            self._reported_all = False
        self._reporting.note(changed)
        self._follow_readers()
        published = False
        if self._published or (self._sources.feeds.settled and not self._pipelines.missing):
            self._report()
            self._pipelines.sections.update_findings(self._findings)
            self._page[Head.KINDS_LISTED] = self._sources.feeds.kinds_listed
            published = self._publisher.publish(
                self._pipelines.sections, complete=self._sources.feeds.complete, sources=tuple(self._sources.names)
            )
            self._published = True
            self._reporting.look(self._store)
        self._tell_cluster(changed)
        ended = time.monotonic()
        self._holdoff.built(ended, published=published, pauses=self._published)
        log.debug("built", extra={"published": published, "milliseconds": round((ended - started) * 1e3, 1)})

    def _tell_cluster(self, changed: Iterable[ObjectKey]) -> None:
        """Hand what became of objects to the reporter, which works in a thread of its own."""
        if not self._reporting.reports:
            return
        self._untold.update(changed)
        if self._published:
            pending = {key for builder in self._pipelines.builders for key in builder.pending}
            self._reporting.update(self._verdicts.update(self._store, self._untold, self._findings, pending))
            self._untold.clear()

    def _follow_readers(self) -> None:
        """See to it that what translations ask for gets here, and that what nobody asks for any more goes."""
        readers = self._pipelines.readers
        self._sources.want(readers.kinds)
        self._store.strip(readers.take_released())
        self._sources.fetch(key for key in self._pipelines.missing if self._store.is_unread(key))

    def _report(self) -> None:
        """Gather all findings and log the new ones. A cluster full of findings costs nothing while they last."""
        around = [*self._sources.feeds.findings(), *self._manifest_findings, *self._store.findings()]
        if self._reported_all and around == self._findings_around:
            return
        self._reported_all = True
        self._findings_around = around
        self._findings = around + self._pipelines.findings()
        self._finding_log.update(self._findings)

    def _listen(self) -> None:
        """Thread: what the master says, until it closes the channel."""
        while True:
            try:
                data = self._channel.recv(64)
            except OSError as error:
                self._end(Stop(f"channel: {error}"))
                return
            if not data:
                self._end(Stop("the master closed the channel"))
                return
            if data == b"r":
                self._queue.put(ReopenLogs())

    def _thread_failed(self, args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else "?"
        exception = args.exc_value or args.exc_type()
        log.error("thread %s failed", name, exc_info=(args.exc_type, exception, args.exc_traceback))
        self._end(Stop(f"thread {name} failed", failed=True))
