"""A running Pointsman as its API shows it, in the shape in which `explain` looks at what would be served.

Nothing is built again: whether a router is served, on which entry points, and why not is what the instance says.
What its API does not show is not here: rules of dropped routes, secrets, and the servers of other instances.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import msgspec

from config.dynamic import Configuration
from config.findings import Finding
from config.http import HTTPConfiguration, Router, Server, Service
from config.middlewares import Middleware
from config.names import PROVIDER_CRD, resolve_reference
from config.static import StaticConfiguration
from config.static_errors import StaticError
from config.static_load import from_mapping

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 10.0
LARGEST_BYTES: Final = 256 << 20
"""Of one answer; a hundred thousand routers are below it."""


class RemoteError(Exception):
    """The instance does not answer as one of ours would; the message names the URL."""


class RemoteRouter:
    """As `workers.routers.RouterState`, as far as it can be seen from outside."""

    def __init__(self, name: str, shown: dict[str, Any]) -> None:
        """Raises RemoteError."""
        self.name = self.source = name
        self.config = _converted(shown, Router, f"router {name}")
        self.using: list[str] = list(shown.get("using", ()))
        self.errors: list[str] = list(shown.get("error", ()))
        self.critical = shown.get("status") == "disabled"
        self.priority: int = shown.get("priority", 0)
        self.route = None if self.critical else self

    @property
    def service(self) -> str:
        """Qualified name of the service, empty if there is none."""
        return resolve_reference(self.config.service, self.name) if self.config.service else ""


class RemoteService:
    """As `workers.services.ServiceState`: what is asked of it here."""

    def __init__(self, name: str, shown: dict[str, Any]) -> None:
        """Raises RemoteError."""
        self.config = _converted(shown, Service, f"service {name}")
        self.errors: list[str] = list(shown.get("error", ()))
        balancer = self.config.load_balancer
        down = {url for url, state in shown.get("serverStatus", {}).items() if state == "DOWN"}
        self.servers: list[Server] = [one for one in balancer.servers if one.url not in down] if balancer else []


class RemoteInspection:
    """As `master.inspection.Inspection`, from `/api/rawdata`, `/api/entrypoints` and `/api/findings`."""

    def __init__(self, url: str) -> None:
        """`url`: of the API, as `http://127.0.0.1:8080`. Raises RemoteError."""
        base = url.rstrip("/")
        rawdata = _asked(f"{base}/api/rawdata", dict[str, Any])
        self.static = _static(_asked(f"{base}/api/entrypoints", list[dict[str, Any]]))
        routers, services = rawdata.get("routers", {}), rawdata.get("services", {})
        shown = {name: one for name, one in services.items() if not name.endswith("@internal")}
        self.runtime = SimpleNamespace(
            routers={name: RemoteRouter(name, one) for name, one in routers.items()},
            services={name: RemoteService(name, one) for name, one in shown.items()},
            configured=frozenset(routers),
            environment=SimpleNamespace(models={}, default_rule_syntax="v3", default_entry_points=()),
        )
        self.configuration = _configuration(rawdata.get("middlewares", {}))
        self.reading = SimpleNamespace(findings=_asked(f"{base}/api/findings", list[Finding]))

    def origins(self) -> Iterator[Any]:
        """The API does not show the objects themselves."""
        return iter(())


def _static(entry_points: list[dict[str, Any]]) -> StaticConfiguration:
    """What decides how a request is read. Raises RemoteError."""
    found: dict[str, Any] = {}
    for one in entry_points:
        members = {key: one[key] for key in ("address", "forwardedHeaders", "asDefault") if key in one}
        given = one.get("http", {})
        read = {key: given[key] for key in ("sanitizePath", "encodeQuerySemicolons") if key in given}
        found[str(one.get("name"))] = members | ({"http": read} if read else {})
    try:
        return from_mapping({"entryPoints": found})
    except StaticError as error:
        raise RemoteError(f"its entry points cannot be read: {error}") from error


def _configuration(middlewares: dict[str, Any]) -> Configuration:
    suffix = f"@{PROVIDER_CRD}"
    found = {
        name.removesuffix(suffix): _converted(shown, Middleware, f"middleware {name}")
        for name, shown in middlewares.items()
    }
    return Configuration(http=HTTPConfiguration(middlewares=found))


def _converted(shown: dict[str, Any], shape: type[T], what: str) -> T:
    try:
        return msgspec.convert(shown, shape, strict=False)
    except msgspec.ValidationError as error:
        raise RemoteError(f"its {what} cannot be read ({error}): is it of another version?") from error


def _asked(url: str, type_: type[T]) -> T:
    if not url.startswith(("http://", "https://")):
        raise RemoteError(f"{url} is no URL; write the API's as http://127.0.0.1:8080")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - checked above
            body = answer.read(LARGEST_BYTES + 1)
    except urllib.error.HTTPError as error:
        error.close()
        advice = "; is this the API of a Pointsman?" if error.code == 404 else ""
        raise RemoteError(f"{url} answers {error.code}{advice}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RemoteError(f"{url} does not answer: {error}") from error
    if len(body) > LARGEST_BYTES:
        raise RemoteError(f"{url} answers with more than {LARGEST_BYTES} bytes")
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.MsgspecError as error:
        raise RemoteError(f"{url} answers with something else than expected: {error}") from error
