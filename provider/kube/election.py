"""Who of several replicas writes: a Lease of coordination.k8s.io, as Kubernetes' own components elect.

`Election` decides, from what the Lease says and one monotonic clock; `Elector` is the thread that reads and writes
it. The official client has an election too; it cannot be stopped, never gives the Lease back, and compares the
clocks of different machines. Here a foreign Lease counts as held until it has not changed for its whole duration
*by our own clock*, and we stop writing well before others may think so of ours.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from provider.kube.api import Api
from provider.kube.errors import ApiError, Conflict, Forbidden, ObjectMissing, ServerTrouble
from provider.resources.core import Resource
from provider.resources.kinds import Kind

log = logging.getLogger(__name__)

REFUSED_PAUSE_SECONDS: Final = 60.0
"""How long to wait before asking again for rights that we lack."""
_RENEW_SHARE: Final = 2 / 3
_RETRY_SHARE: Final = 2 / 15


class _LeaseMetadata(Resource, frozen=True, kw_only=True):
    resource_version: str = ""


class _LeaseSpec(Resource, frozen=True, kw_only=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Resource, frozen=True, kw_only=True):
    metadata: _LeaseMetadata = _LeaseMetadata()
    spec: _LeaseSpec = _LeaseSpec()


LEASE: Final = Kind("Lease", "coordination.k8s.io", "v1", "leases", Lease)
_DECODER: Final = msgspec.json.Decoder(Lease)


def _decoded(data: bytes) -> Lease:
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise ServerTrouble(f"the Lease is unreadable: {error}") from error


class Election:
    """Pure. Times are seconds of one monotonic clock, passed in; `wall` is only for the Lease's readers."""

    def __init__(self, identity: str, lease_duration_seconds: int) -> None:
        self.identity = identity
        self.duration_seconds = lease_duration_seconds
        self._lease: Lease | None = None
        self._seen_at = 0.0
        self._held_until = float("-inf")

    @property
    def retry_seconds(self) -> float:
        """Pause between two looks at the Lease."""
        return self.duration_seconds * _RETRY_SHARE

    def holds(self, now: float) -> bool:
        """Whether we may write at this moment."""
        return now < self._held_until

    def saw(self, lease: Lease | None, now: float) -> None:
        """The Lease as just read; None: there is none."""
        if lease != self._lease:
            self._lease, self._seen_at = lease, now
        if lease is not None and lease.spec.holder_identity not in (self.identity, "", None):
            self._held_until = float("-inf")

    def may_claim(self, now: float) -> bool:
        """Whether the Lease is ours, nobody's, or its holder has been silent for its whole duration."""
        if self._lease is None or self._lease.spec.holder_identity in (self.identity, "", None):
            return True
        return now >= self._seen_at + (self._lease.spec.lease_duration_seconds or self.duration_seconds)

    def claim(self, wall: datetime) -> dict[str, Any]:
        """What to create or merge to hold the Lease from now on; refused if it changed since it was seen."""
        spec, ours = self._lease.spec if self._lease else _LeaseSpec(), self.identity
        text = wall.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        new: dict[str, Any] = {
            "holderIdentity": ours,
            "leaseDurationSeconds": self.duration_seconds,
            "renewTime": text,
        }
        if spec.holder_identity != ours:
            new["acquireTime"] = text
            new["leaseTransitions"] = (spec.lease_transitions or 0) + (1 if self._lease else 0)
        return self._body(new)

    def claimed(self, lease: Lease, asked_at: float) -> None:
        """The claim was accepted; `asked_at`: before the request was sent."""
        self._lease, self._seen_at = lease, asked_at
        self._held_until = asked_at + self.duration_seconds * _RENEW_SHARE

    def release(self) -> dict[str, Any]:
        """What to merge so that others need not wait."""
        self._held_until = float("-inf")
        return self._body({"holderIdentity": "", "leaseDurationSeconds": 1})

    def _body(self, spec: dict[str, Any]) -> dict[str, Any]:
        version = self._lease.metadata.resource_version if self._lease else ""
        return {"metadata": {"resourceVersion": version} if version else {}, "spec": spec}


class NoPlace(ApiError):
    """The namespace of the Lease does not exist."""

    reason = "LeaseNamespaceMissing"

    def __init__(self, message: str, namespace: str) -> None:
        super().__init__(message)
        self.advice = f"create the namespace {namespace}, or set leaseNamespace to one that exists"


class Elector:
    """A thread that tries to hold the Lease.

    `changed` is called from it whenever `is_leader` or `is_unusable` turned. `without` is what the log says of a
    cluster where the Lease cannot be used.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        election: Election,
        changed: Callable[[], None],
        randomness: random.Random | None = None,
        *,
        without: str = "nothing is reported to the cluster",
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._election = election
        self._changed = changed
        self._random = randomness or random.Random()  # noqa: S311 - jitter
        self._without = without
        self._state = (False, False)
        self._is_unusable = False
        self._told = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="election", daemon=True)

    @property
    def is_leader(self) -> bool:
        """Any thread; ask before each write."""
        return self._election.holds(time.monotonic())

    @property
    def is_unusable(self) -> bool:
        """Whether the server refuses us the Lease or has no place for it, so nobody here will ever hold it."""
        return self._is_unusable

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 2.0) -> bool:
        """End the thread, which gives the Lease back; whether it has ended."""
        self._stopping.set()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause = self._election.retry_seconds * self._random.uniform(1.0, 1.2)
            try:
                self._try()
                self._is_unusable = False
            except (Forbidden, NoPlace) as error:
                self._is_unusable = True
                self._tell(error)
                pause = REFUSED_PAUSE_SECONDS
            except ApiError as error:
                log.debug("%s", error)
            self._notice()
            self._stopping.wait(pause)
        self._give_back()

    def _try(self) -> None:
        """Look at the Lease and take or renew it if we may. Raises ApiError."""
        election = self._election
        try:
            lease = _decoded(self._api.read(LEASE, self._namespace, self._name))
        except ObjectMissing:
            lease = None
        election.saw(lease, time.monotonic())
        if not election.may_claim(time.monotonic()):
            return
        asked_at, body = time.monotonic(), election.claim(datetime.now(UTC))
        try:
            stored = self._create(body) if lease is None else self._merge(body)
        except Conflict:
            return  # somebody else was faster
        election.claimed(_decoded(stored), asked_at)

    def _create(self, body: dict[str, Any]) -> bytes:
        metadata = {"name": self._name, "namespace": self._namespace}
        whole = {"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": body["spec"]}
        try:
            return self._api.create(LEASE, self._namespace, whole)
        except ObjectMissing as error:
            raise NoPlace(error.message, self._namespace) from error

    def _merge(self, body: dict[str, Any]) -> bytes:
        return self._api.patch(LEASE, self._namespace, self._name, body)

    def _notice(self) -> None:
        was_leader, _ = before = self._state
        self._state = is_leader, _ = self.is_leader, self._is_unusable
        if is_leader != was_leader:
            log.info("%s Lease %s/%s", "holds" if is_leader else "lost", self._namespace, self._name)
        if self._state != before:
            self._changed()

    def _give_back(self) -> None:
        if self.is_leader:
            try:
                self._merge(self._election.release())
            except ApiError as error:
                log.debug("%s", error)

    def _tell(self, error: ApiError) -> None:
        if not self._told:
            self._told = True
            log.info("%s: %s", self._without, error, extra={"advice": error.advice})
