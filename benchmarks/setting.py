"""What a proxy is to be set up for, and what it means to be one of the proxies compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HOST = "bench.example"


@dataclass(frozen=True, slots=True)
class Setting:
    """Ports on loopback and a folder of its own."""

    port: int
    backend_port: int
    folder: Path
    observed: bool = False
    """With an access log to a file and Prometheus metrics, where the proxy has them."""
    routes: int = 1
    """That many hosts with a service each; the one asked for is the last. Only Pointsman and Traefik."""
    workers: int = 1
    """Only Pointsman."""
    connections: int = 4000
    """As many clients at once; who has no limit of its own does not look."""
    certificate: tuple[bytes, bytes] | None = None
    """PEM of chain and key for those who end TLS; None: one that the proxy makes for itself."""
    upgrades: bool = False
    """WebSocket connections are let through, for those who must be told."""

    @property
    def observing_flags(self) -> list[str]:
        """For Traefik, and for us who take the same."""
        if not self.observed:
            return []
        flags = ["--accesslog=true", f"--accesslog.filepath={self.folder / f'access-{self.port}.log'}"]
        return [*flags, "--metrics.prometheus=true", "--metrics.prometheus.manualrouting=true"]


@dataclass(frozen=True, slots=True)
class Peer:
    """`command` writes what the proxy needs into the folder and returns how to start it; None: not installed."""

    name: str
    command: Callable[[Setting], list[str] | None]
