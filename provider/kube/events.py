"""Kubernetes Events for findings of severity error, so that `kubectl describe` shows them with the object.

One Event for one object, reason and text. Its name follows from these, so replicas and restarts meet the same
Event and count it up instead of writing another. For each object and reason at most one write in ten minutes, and
for everything together a bounded rate: what does not fit waits, and is dropped once nobody finds it any more.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from config.findings import Finding
from provider.kube.api import Api
from provider.kube.errors import ApiError, Conflict, Forbidden, ObjectMissing, Refused
from provider.resources.core import Resource
from provider.resources.kinds import KINDS, Kind, ObjectKey

log = logging.getLogger(__name__)

COMPONENT: Final = "pointsman"
WINDOW_SECONDS: Final = 600.0
BURST: Final = 50
PER_SECOND: Final = 1.0
LARGEST_BACKLOG: Final = 5_000
LONGEST_NOTE: Final = 1024
_LONGEST_STEM: Final = 200


class Event(Resource, frozen=True, kw_only=True):
    """The part of an Event that counting needs."""

    count: int = 0
    last_timestamp: str | None = None


EVENT: Final = Kind("Event", "", "v1", "events", Event)
_DECODER: Final = msgspec.json.Decoder(Event)


class Subject(NamedTuple):
    """What at most one Event in the window is about."""

    key: ObjectKey
    reason: str


class Note(NamedTuple):
    """What an Event says of a subject; `uid` of the object, empty while nobody has looked."""

    message: str
    uid: str


class Backlog:
    """Which Events are due. Pure; times are monotonic seconds, passed in."""

    def __init__(self) -> None:
        self._wanted: dict[Subject, Note] = {}
        self._written: dict[Subject, tuple[float, str]] = {}
        self._present: dict[ObjectKey, dict[Subject, str]] = {}
        self._tokens = float(BURST)
        self._filled_at = 0.0
        self.dropped = 0

    def found(self, key: ObjectKey, findings: tuple[Finding, ...], uid: str) -> None:
        """All that is wrong with an object now; what was wanted before and is not wrong any more is forgotten."""
        notes = dict(_notes(key, findings))
        before = self._present.pop(key, {})
        for subject in before.keys() - notes.keys():
            self._wanted.pop(subject, None)
        if notes:
            self._present[key] = notes
        for subject, message in notes.items():
            if before.get(subject) == message and subject not in self._wanted:
                continue  # told already, and nothing new
            if len(self._wanted) >= LARGEST_BACKLOG and subject not in self._wanted:
                self.dropped += 1
                continue
            self._wanted[subject] = Note(message, uid)

    def take(self, now: float) -> list[tuple[Subject, Note]]:
        """What may be written now; it counts as written."""
        self._fill(now)
        self._forget(now)
        due = []
        for subject in list(self._wanted):
            if self._tokens < 1.0:
                break
            if subject in self._written:
                continue
            note = self._wanted.pop(subject)
            self._tokens -= 1.0
            self._written[subject] = (now, note.message)
            due.append((subject, note))
        return due

    def put_back(self, subject: Subject, note: Note) -> None:
        """It could not be written after all."""
        self._written.pop(subject, None)
        self._wanted.setdefault(subject, note)

    def __len__(self) -> int:
        return len(self._wanted)

    def _fill(self, now: float) -> None:
        self._tokens = min(float(BURST), self._tokens + max(0.0, now - self._filled_at) * PER_SECOND)
        self._filled_at = now

    def _forget(self, now: float) -> None:
        self._written = {one: entry for one, entry in self._written.items() if now - entry[0] < WINDOW_SECONDS}


def _notes(key: ObjectKey, findings: tuple[Finding, ...]) -> dict[Subject, str]:
    texts: dict[Subject, list[str]] = {}
    for finding in findings:
        if finding.severity == "error":
            where = f"{finding.field}: " if finding.field else ""
            advice = f" ({finding.advice})" if finding.advice else ""
            texts.setdefault(Subject(key, finding.reason), []).append(f"{where}{finding.message}{advice}")
    return {subject: _shortened("; ".join(parts)) for subject, parts in texts.items()}


def _shortened(text: str) -> str:
    data = text.encode()
    return text if len(data) <= LONGEST_NOTE else data[: LONGEST_NOTE - 4].decode(errors="ignore") + " ..."


def event_name(subject: Subject, note: Note) -> str:
    """Name of the one Event of this text; a later object of the same name has another."""
    identity = "\0".join((*subject.key, subject.reason, *note))
    return f"{subject.key.name[:_LONGEST_STEM]}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


class EventWriter:
    """Writes what the backlog says is due, while `may_write` says so. One thread."""

    def __init__(
        self,
        api: Api,
        instance: str,
        may_write: Callable[[], bool],
        clock: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        self.backlog = Backlog()
        self._api = api
        self._instance = instance
        self._may_write = may_write
        self._clock = clock
        self._wall = wall
        self._silent_until = 0.0
        self._told = False

    def write(self) -> None:
        """Raises ApiError where the server cannot answer; what is left is written by the next call."""
        if self._clock() < self._silent_until:
            return
        due = self.backlog.take(self._clock())
        for index, (subject, note) in enumerate(due):
            if not self._may_write():
                self._put_back(due[index:])
                return
            try:
                self._write(subject, note)
            except (Conflict, Refused, ObjectMissing) as error:
                log.debug("%s", error)  # the namespace goes, or somebody counts at the same moment
            except Forbidden as error:
                self._silence(error)
                self._put_back(due[index:])
                return
            except ApiError:
                self._put_back(due[index:])
                raise

    def _put_back(self, rest: list[tuple[Subject, Note]]) -> None:
        for subject, note in rest:
            self.backlog.put_back(subject, note)

    def _write(self, subject: Subject, note: Note) -> None:
        """Create the Event; if there is one already and its last is long ago, count it up."""
        name, namespace = event_name(subject, note), subject.key.namespace
        try:
            self._api.create(EVENT, namespace, self._body(name, subject, note))
        except Conflict:
            try:
                old = _DECODER.decode(self._api.read(EVENT, namespace, name))
            except msgspec.MsgspecError:
                return
            now = self._wall()
            if (
                old.last_timestamp is None
                or (now - _time(old.last_timestamp, now)).total_seconds() >= WINDOW_SECONDS
            ):
                counted = {"count": old.count + 1, "lastTimestamp": _text(now)}
                self._api.patch(EVENT, namespace, name, counted)

    def _body(self, name: str, subject: Subject, note: Note) -> dict[str, Any]:
        key, now = subject.key, _text(self._wall())
        kind = KINDS[key.kind]
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {"name": name, "namespace": key.namespace},
            "involvedObject": {
                "apiVersion": kind.api_version,
                "kind": kind.name,
                "namespace": key.namespace,
                "name": key.name,
                **({"uid": note.uid} if note.uid else {}),
            },
            "type": "Warning",
            "reason": subject.reason,
            "message": note.message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._instance[:128],
        }

    def _silence(self, error: Forbidden) -> None:
        self._silent_until = self._clock() + WINDOW_SECONDS
        if not self._told:
            self._told = True
            log.info("no Events are written: %s", error, extra={"advice": error.advice})


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _time(text: str, otherwise: datetime) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return otherwise
