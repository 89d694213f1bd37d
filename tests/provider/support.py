"""The provider as its master sees it: a child process, a channel, generations.

Also short ways to write Kubernetes objects, so that tests read as what they are about.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from config import generation_channel
from config.control_page import ControlPage, Head
from config.findings import Finding
from config.generation import Generation, Meta, SectionKey
from config.http import Router, Server, Service
from config.middlewares import Middleware
from config.static import StaticConfiguration, encode_static
from config.static_load import from_mapping
from config.tls import StoredCertificate

DEADLINE_SECONDS = 20.0
Json = dict[str, Any]


def route(name: str, *routes: Json, namespace: str = "default", **spec: Any) -> Json:
    """An IngressRoute; `spec` holds further fields of its spec."""
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"routes": list(routes), **spec},
    }


def rule(match: str, *services: Json, **more: Any) -> Json:
    return {"match": match, "kind": "Rule", "services": list(services), **more}


def service(name: str, *ports: int, namespace: str = "default", **spec: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": [{"port": port} for port in ports or (80,)], "clusterIP": "10.0.0.1", **spec},
    }


def endpoints(name: str, *addresses: str, port: int = 8080, namespace: str = "default", of: str = "") -> Json:
    """An EndpointSlice of the Service `of`, by default the one it is named after."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": of or name},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }


def secret(name: str, namespace: str = "default", **data: str) -> Json:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded}


def middleware(name: str, namespace: str = "default", **spec: Any) -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "metadata": metadata, "spec": spec}


@dataclass
class Received:
    """A decoded generation."""

    meta: Meta
    routers: dict[str, Router] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    endpoints: dict[str, list[Server]] = field(default_factory=dict)
    middlewares: dict[str, Middleware] = field(default_factory=dict)
    certificates: dict[str, StoredCertificate] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    digests: dict[SectionKey, bytes] = field(default_factory=dict)

    def urls(self, name: str) -> list[str]:
        return [server.url for server in self.endpoints[f"{name}@kubernetescrd"]]

    def reasons(self) -> set[str]:
        return {finding.reason for finding in self.findings}


def decode_generation(descriptors: Sequence[int]) -> Received:
    with Generation(descriptors) as generation:
        received = Received(generation.read(SectionKey("meta", 0)))
        for key, row in generation.sections.items():
            received.digests[key] = row.digest
            value = generation.read(key)
            if key.section == "routing":
                received.routers.update(value.routers)
                received.services.update(value.services)
                received.middlewares.update(value.middlewares)
            elif key.section == "tls":
                received.certificates.update(value.certificates)
            elif key.section == "endpoints":
                received.endpoints.update(value)
            elif key.section == "findings":
                received.findings += value
    return received


class ProviderProcess:
    """`python -m provider` under a master that keeps the newest generation. Use with `running`."""

    def __init__(
        self,
        static: StaticConfiguration,
        environ: dict[str, str],
        generation: int = 0,
        kinds_listed: int = 0,
        log: Any = subprocess.PIPE,
    ) -> None:
        """`log`: a file for what it says, instead of what `ended` returns."""
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.page = ControlPage.create()
        self.page[Head.GENERATION] = generation
        self.page[Head.KINDS_LISTED] = kinds_listed
        self.seen: list[Received] = []
        static_fd = os.memfd_create("static")
        os.write(static_fd, encode_static(static))
        descriptors = (theirs.fileno(), self.page.descriptor, static_fd)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KUBERNETES_", "KUBECONFIG"))}
        names = ("POINTSMAN_CHANNEL_FD", "POINTSMAN_CONTROL_FD", "POINTSMAN_STATIC_FD")
        kept.update(zip(names, map(str, descriptors), strict=True))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "provider"],
            pass_fds=descriptors,
            env=kept | environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        theirs.close()
        os.close(static_fd)

    def receive(self, deadline_seconds: float = DEADLINE_SECONDS) -> Received:
        """The next generation. Raises TimeoutError, or EOFError with the log if the process ended."""
        self.channel.settimeout(deadline_seconds)
        parcel = generation_channel.receive(self.channel)
        if parcel is None:
            raise EOFError(self.ended())
        try:
            received = decode_generation(parcel.descriptors)
        finally:
            for descriptor in parcel.descriptors:
                os.close(descriptor)
        assert (parcel.number, parcel.is_complete) == (received.meta.number, received.meta.complete)
        self.page[Head.GENERATION] = received.meta.number
        self.seen.append(received)
        return received

    def receive_until(self, accept: Any, deadline_seconds: float = DEADLINE_SECONDS) -> Received:
        """The first generation that `accept` takes, the newest one included."""
        deadline = time.monotonic() + deadline_seconds
        if self.seen and accept(self.seen[-1]):
            return self.seen[-1]
        while True:
            received = self.receive(max(0.01, deadline - time.monotonic()))
            if accept(received):
                return received

    def receives_nothing(self, seconds: float) -> bool:
        self.channel.settimeout(seconds)
        try:
            self.receive(seconds)
        except TimeoutError:
            return True
        return False

    def ended(self, deadline_seconds: float = DEADLINE_SECONDS) -> str:
        """Wait for the end of the process; its output."""
        output, _ = self.process.communicate(timeout=deadline_seconds)
        return str(output.decode())

    def close(self) -> None:
        self.channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=5)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()
        self.page.close()


def static_for(url: str = "", directory: str = "", throttle: str = "0s", **options: Any) -> StaticConfiguration:
    """Static configuration with either or both sources; `options` are those of kubernetesCRD."""
    providers: Json = {"providersThrottleDuration": throttle}
    if url or options:
        providers["kubernetesCRD"] = {"endpoint": url, **options}
    if directory:
        providers["manifests"] = {"directory": directory}
    return from_mapping({"providers": providers, "log": {"level": "DEBUG"}})


@contextlib.contextmanager
def running(
    static: StaticConfiguration,
    environ: dict[str, str] | None = None,
    generation: int = 0,
    kinds_listed: int = 0,
    log: Any = subprocess.PIPE,
) -> Iterator[ProviderProcess]:
    """`kinds_listed`: what a former provider of the same master left on the control page."""
    provider = ProviderProcess(static, environ or {}, generation, kinds_listed, log)
    try:
        yield provider
    finally:
        provider.close()
