"""From what the store holds to what the status of Ingresses says: looks after each build, writes beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from config.names import PROVIDER_INGRESS
from config.static import StaticConfiguration
from provider.ingress_status import AddressesUnknown, IngressStatus
from provider.kube.addresses import AddressWriter
from provider.resources.kinds import ObjectKey
from provider.sources import Sources
from provider.store import Store

log = logging.getLogger(__name__)


class AddressReports:
    """Does nothing unless the options ask for addresses and there is a cluster. Owned by the main loop."""

    def __init__(
        self, static: StaticConfiguration, sources: Sources, may_write: Callable[[], bool] = lambda: True
    ) -> None:
        """`may_write`: as AddressWriter has it."""
        self._sources = sources
        self._status: IngressStatus | None = None
        self._writer: AddressWriter | None = None
        self._told = ""
        settings = static.providers.kubernetes_ingress
        if settings is not None and sources.api is not None:
            status = IngressStatus(settings, sources.options[PROVIDER_INGRESS])
            if status.is_wanted:
                self._status, self._writer = status, AddressWriter(sources.api, may_write)

    @property
    def is_wanted(self) -> bool:
        """Whether any address is to be written."""
        return self._writer is not None

    def wake(self) -> None:
        """What `may_write` says may have changed. Any thread."""
        if self._writer is not None:
            self._writer.wake()

    def start(self) -> None:
        if self._writer is not None:
            self._writer.start()

    def stop(self) -> None:
        if self._writer is not None:
            self._writer.stop()

    def note(self, changed: Iterable[ObjectKey]) -> None:
        """What has changed in the store, as Store.take_changed reports it."""
        if self._status is not None:
            self._status.note(changed)

    def look(self, store: Store) -> None:
        """Have written what is missing. Call when the store is known to be complete."""
        if self._status is None or self._writer is None:
            return
        try:
            stale = self._status.look(store)
        except AddressesUnknown as error:
            self._tell(str(error))
            return
        self._sources.want(self._status.kinds)
        if stale is not None:
            self._told = ""
            self._writer.want(stale)

    def _tell(self, message: str) -> None:
        if message != self._told:
            self._told = message
            log.error("the status of Ingresses is not written: %s", message)
