"""Who writes to the cluster: one Lease, and the writers that depend on it.

Conditions and Events are written by the holder of the Lease alone, and so is the status of Ingresses; but that one
is Traefik's feature and must work with Traefik's rights, so without a Lease every replica writes it, as Traefik
does: where Leases are refused, and where reporting is switched off.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from config.static import StaticConfiguration
from config.static_providers import KubernetesCRD, Report
from provider.address_reports import AddressReports
from provider.kube.api import Api
from provider.kube.connection import SERVICE_ACCOUNT
from provider.kube.election import Election, Elector
from provider.kube.status import Verdict
from provider.reporter import Reporter
from provider.resources.kinds import ObjectKey
from provider.sources import Sources
from provider.store import Store

_WITHOUT_REPORTS: Final = "nothing is reported to the cluster"
_WITHOUT_LEASE: Final = "the status of Ingresses is written by every replica"


class Reporting:
    """Everything that is written to the cluster. Owned by the main loop, which never waits for any of it."""

    def __init__(self, static: StaticConfiguration, sources: Sources, environ: Mapping[str, str]) -> None:
        self._addresses = AddressReports(static, sources, self._may_write_addresses)
        self._elector: Elector | None = None
        self._reporter: Reporter | None = None
        crd, api = static.providers.kubernetes_crd, sources.api
        report = crd.report if crd is not None else Report()
        if api is None or not (report.status or report.events):
            return
        instance = environ.get("POD_NAME") or socket.gethostname()
        if crd is None and not self._addresses.is_wanted:
            return
        election = Election(f"{instance}_{uuid.uuid4()}", max(1, round(report.lease_duration_seconds)))
        namespace = report.lease_namespace or environ.get("POD_NAMESPACE") or _own_namespace() or "default"
        without = _WITHOUT_LEASE if crd is None else _WITHOUT_REPORTS
        self._elector = Elector(api, namespace, report.lease_name, election, self._turned, without=without)
        if crd is not None:
            self._reporter = _reporter(crd, api, instance, self._elector)

    @property
    def reports(self) -> bool:
        """Whether anybody wants to know verdicts."""
        return self._reporter is not None

    def start(self) -> None:
        self._addresses.start()
        if self._reporter is not None:
            self._reporter.start()
        if self._elector is not None:
            self._elector.start()

    def stop(self) -> None:
        """End the writers, then give the Lease back."""
        if self._reporter is not None:
            self._reporter.stop()
        self._addresses.stop()
        if self._elector is not None:
            self._elector.stop()

    def note(self, changed: Iterable[ObjectKey]) -> None:
        """What has changed in the store, as Store.take_changed reports it."""
        self._addresses.note(changed)

    def look(self, store: Store) -> None:
        """Have addresses written that are missing. Call when the store is known to be complete."""
        self._addresses.look(store)

    def update(self, verdicts: Mapping[ObjectKey, Verdict | None]) -> None:
        """Take over what became of objects."""
        if self._reporter is not None:
            self._reporter.update(verdicts)

    def _may_write_addresses(self) -> bool:
        return self._elector is None or self._elector.is_leader or self._elector.is_unusable

    def _turned(self) -> None:
        """Thread of the election."""
        self._addresses.wake()
        if self._reporter is not None:
            self._reporter.wake()


def _reporter(settings: KubernetesCRD, api: Api, instance: str, elector: Elector) -> Reporter:
    return Reporter(
        api,
        settings.namespaces,
        statuses=settings.report.status,
        events=settings.report.events,
        instance=instance,
        elector=elector,
    )


def _own_namespace(service_account: Path = SERVICE_ACCOUNT) -> str:
    """Namespace of the pod we are in, empty outside of one."""
    path = service_account / "namespace"
    return path.read_text().strip() if os.access(path, os.R_OK) else ""
