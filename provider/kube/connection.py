"""Which API server, and with whose credentials: in-cluster, then KUBECONFIG, then the options.

The order is Traefik's. Kubeconfig files, exec plugins and their refresh are the official client's; the service
account token is re-read here about once a minute, because projected tokens rotate.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from kubernetes.client.configuration import Configuration
from kubernetes.config.kube_config import load_kube_config
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from provider.kube.errors import ConnectionSettings

log = logging.getLogger(__name__)

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_LIFE_SECONDS: Final = 60.0
_BEARER: Final = "BearerToken"


class EndpointSettings(Protocol):
    """The part of a provider's options that chooses the connection."""

    @property
    def endpoint(self) -> str: ...
    @property
    def token(self) -> str: ...
    @property
    def cert_auth_file_path(self) -> str: ...


def configure(
    settings: EndpointSettings,
    environ: Mapping[str, str],
    service_account: Path = SERVICE_ACCOUNT,
    clock: Callable[[], float] = time.monotonic,
    section: str = "providers.kubernetesCRD",
) -> Any:
    """The official client's Configuration. `section` is where users set `settings`.

    Raises ConnectionSettings with what to change.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    if host and port:
        configuration = _in_cluster(host, port, settings.endpoint, service_account, clock)
    elif environ.get("KUBECONFIG"):
        configuration = _from_kubeconfig(environ["KUBECONFIG"])
    else:
        configuration = _external(settings, section)
    configuration.retries = False
    configuration.connection_pool_maxsize = 64
    # a watch is silent for minutes: the kernel notices a dead peer for us within about a minute
    configuration.socket_options = tcp_keepalive_socket_options(idle=30, interval=10, count=3)
    return configuration


def _in_cluster(host: str, port: str, endpoint: str, service_account: Path, clock: Callable[[], float]) -> Any:
    bracketed = f"[{host}]" if ":" in host else host
    configuration = Configuration(host=(endpoint or f"https://{bracketed}:{port}").rstrip("/"))
    token = TokenFile(service_account / "token", clock)
    configuration.api_key[_BEARER] = token.header()
    configuration.refresh_api_key_hook = token.refresh
    authority = service_account / "ca.crt"
    if authority.is_file():
        configuration.ssl_ca_cert = str(authority)
    else:
        log.error("the service account has no CA certificate, using the system's", extra={"path": authority})
    return configuration


def _from_kubeconfig(path: str) -> Any:
    configuration = Configuration()
    try:
        load_kube_config(config_file=path, client_configuration=configuration, persist_config=False)
    except Exception as error:  # the loader raises whatever the file's content makes it raise
        raise ConnectionSettings(f"KUBECONFIG={path} cannot be used: {error}") from error
    return configuration


def _external(settings: EndpointSettings, section: str) -> Any:
    if not settings.endpoint:
        raise ConnectionSettings(f"endpoint missing: outside a cluster set {section}.endpoint or KUBECONFIG")
    configuration = Configuration(host=settings.endpoint.rstrip("/"))
    token = _token_text(settings.token, section)
    if token:
        configuration.api_key[_BEARER] = f"Bearer {token}"
    if settings.cert_auth_file_path:
        try:
            configuration.ca_cert_data = Path(settings.cert_auth_file_path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConnectionSettings(f"{section}.certAuthFilePath cannot be read: {error}") from error
    return configuration


def _token_text(value: str, section: str) -> str:
    """The token itself, or the content of the file that it names."""
    try:
        if value and os.path.isfile(value):
            return Path(value).read_text()
    except (OSError, ValueError) as error:
        raise ConnectionSettings(f"{section}.token cannot be read: {error}") from error
    return value


class TokenFile:
    """A token on disk that somebody renews. An unreadable file keeps the last token."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._header = ""
        self._read_at = 0.0
        try:
            self._read()
        except (OSError, UnicodeDecodeError) as error:
            raise ConnectionSettings(f"the service account token cannot be read: {error}") from error

    def header(self) -> str:
        return self._header

    def refresh(self, configuration: Any) -> None:
        """Called by the official client before each request."""
        if self._clock() - self._read_at >= TOKEN_LIFE_SECONDS:
            try:
                self._read()
            except (OSError, UnicodeDecodeError) as error:
                log.warning("token not renewed", extra={"path": self._path, "error": error})
        configuration.api_key[_BEARER] = self._header

    def expire(self) -> None:
        """Read the file again before the next request (the server refused the token)."""
        self._read_at = self._clock() - TOKEN_LIFE_SECONDS

    def _read(self) -> None:
        self._header = f"Bearer {self._path.read_text().strip()}"
        self._read_at = self._clock()
