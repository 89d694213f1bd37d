"""Writes addresses into the status of Ingresses, in a thread of its own: routing never waits for it.

The replica that holds the Lease writes; the others keep in mind what they would have to, and one of them does once
the Lease is theirs. Where there is no Lease to be had every replica writes: all write the same, and only what
differs. What fails is logged and tried again; traffic does not depend on it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from provider.ingress_status import Addresses, is_same
from provider.kube.api import Api
from provider.kube.errors import ApiError, Conflict, Forbidden, ObjectMissing
from provider.resources.decode import Malformed, decode
from provider.resources.kinds import INGRESS, ObjectKey

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0


class AddressWriter:
    """`want` from one thread, `wake` and `stop` from any. `may_write` is asked by our thread before each write."""

    def __init__(
        self,
        api: Api,
        may_write: Callable[[], bool] = lambda: True,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._api = api
        self._may_write = may_write
        self._first_pause_seconds = first_pause_seconds
        self._wanted: dict[ObjectKey, Addresses] = {}
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = False
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="ingress status", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def want(self, addresses: Mapping[ObjectKey, Addresses]) -> None:
        """What to write, in place of what was wanted before and has not been written yet."""
        with self._lock:
            self._wanted = dict(addresses)
        self._woken.set()

    def wake(self) -> None:
        """What `may_write` says may have changed."""
        self._woken.set()

    def stop(self, timeout_seconds: float = 2.0) -> bool:
        """Ask the thread to end and wait; whether it has ended."""
        self._stopping = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = self._first_pause_seconds
        while True:
            self._woken.clear()
            if self._stopping:
                return
            if self._write_all():
                pause = self._first_pause_seconds
                self._woken.wait()
            else:
                self._woken.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _write_all(self) -> bool:
        """Write what is wanted; whether nothing is left that is ours to try again."""
        with self._lock:
            wanted = dict(self._wanted)
        for key, addresses in wanted.items():
            if self._stopping:
                return False
            if not self._may_write():
                return True
            if self._try(key, addresses):
                with self._lock:
                    if self._wanted.get(key) == addresses:
                        del self._wanted[key]
        with self._lock:
            return not self._wanted

    def _try(self, key: ObjectKey, addresses: Addresses) -> bool:
        """Whether the Ingress shows the addresses now, or never will."""
        try:
            self._write(key, addresses)
        except ObjectMissing:
            return True
        except (Malformed, msgspec.MsgspecError) as error:
            log.debug("the status of an Ingress is not written: %s", error)
            return True
        except Conflict as error:
            log.debug("%s", error)
            return False
        except ApiError as error:
            self._tell(error)
            return False
        return True

    def _write(self, key: ObjectKey, addresses: Addresses) -> None:
        """Raises ApiError, Malformed or MsgspecError."""
        body = self._api.read(INGRESS, key.namespace, key.name)
        if is_same(decode(INGRESS, body).status.load_balancer.ingress, addresses):
            return
        whole: dict[str, Any] = msgspec.json.decode(body)
        whole["status"] = {"loadBalancer": {"ingress": msgspec.to_builtins(addresses)}}
        self._api.replace(INGRESS, key.namespace, key.name, whole, "status")
        self._told = ""
        log.info("wrote the addresses into the status of %s", key)

    def _tell(self, error: ApiError) -> None:
        """Once for each reason: the same will be said of every Ingress."""
        level = logging.DEBUG if error.reason == self._told else logging.ERROR
        self._told = error.reason
        advice = error.advice if isinstance(error, Forbidden) else ""
        log.log(level, "the status of an Ingress is not written: %s", error, extra={"advice": advice})
