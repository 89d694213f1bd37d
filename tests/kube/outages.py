"""Failures of the whole server: what they switch on and off again.

Answers with a status are the business of `api.py`, the rest happens to connections; one outage at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal

from . import errors
from .api import Rules
from .kinds import Kind
from .listener import Listener
from .store import Store

OutageMode = Literal[401, 403, 429, 500, 503, 504, "hang", "drop", "refuse"]


class Outages:
    """Begins and ends outages of one server."""

    def __init__(self, store: Store, rules: Rules, listener: Listener) -> None:
        self._store = store
        self._rules = rules
        self._listener = listener
        self._active = False

    def begin(self, mode: OutageMode, retry_after_seconds: int | None, kinds: Sequence[Kind]) -> None:
        if self._active:
            raise RuntimeError("one outage at a time")
        self._active = True
        match mode:
            case "hang":
                self._store.frozen = True
                self._listener.network.hang = threading.Event()
            case "drop":
                self._listener.network.drop = True
            case "refuse":
                self._listener.stop(hold_port=True)
            case _:
                self._rules.outage_plurals = frozenset(kind.plural for kind in kinds)
                self._rules.outage = errors.outage(mode, retry_after_seconds)

    def end(self, mode: OutageMode) -> None:
        self._active = False
        self._rules.outage = None
        network = self._listener.network
        network.drop = False
        if network.hang is not None:
            network.hang.set()
            network.hang = None
        self._store.frozen = False
        self._store.wake_watches()
        if mode == "refuse":
            self._listener.start()
