"""From settings and environment to a Reporter, or to none."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

from config.static_providers import KubernetesCRD
from provider.kube.api import Api
from provider.kube.connection import SERVICE_ACCOUNT
from provider.kube.election import Election, Elector
from provider.reporter import Reporter


def reporter_of(settings: KubernetesCRD, api: Api, environ: Mapping[str, str]) -> Reporter | None:
    """None where nothing is to be reported."""
    report = settings.report
    if not (report.status or report.events):
        return None
    instance = environ.get("POD_NAME") or socket.gethostname()
    reporter = Reporter(api, settings.namespaces, statuses=report.status, events=report.events, instance=instance)
    election = Election(f"{instance}_{uuid.uuid4()}", max(1, round(report.lease_duration_seconds)))
    namespace = report.lease_namespace or environ.get("POD_NAMESPACE") or _own_namespace() or "default"
    reporter.elector = Elector(api, namespace, report.lease_name, election, reporter.wake)
    return reporter


def _own_namespace(service_account: Path = SERVICE_ACCOUNT) -> str:
    """Namespace of the pod we are in, empty outside of one."""
    path = service_account / "namespace"
    return path.read_text().strip() if os.access(path, os.R_OK) else ""
