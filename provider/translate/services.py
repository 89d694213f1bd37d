"""Service references of a route -> load balancers, weighted services and the names that routers use.

A failing reference raises Rejected and takes its holder with it. Of a weighted service the children that were
built before the failing one stay in the output, unused, as in Traefik.
"""

from __future__ import annotations

from typing import Final

from config.http import (
    Cookie,
    HealthCheck,
    KubernetesSource,
    LoadBalancer,
    PassiveHealthCheck,
    ResponseForwarding,
    Service,
    ServiceMetadata,
    ServiceObservability,
    Sticky,
    Weighted,
    WeightedEntry,
)
from config.names import PROVIDER_CRD, normalize
from config.naming import Place
from config.units import DurationError, format_duration, parse_duration
from provider.findings import Rejected
from provider.resources import traefik
from provider.resources.kinds import SERVERS_TRANSPORT, TRAEFIK_SERVICE, ObjectKey
from provider.resources.traefik import LoadBalancerSpec
from provider.translate.holder import Holder
from provider.translate.no_effect import note_composed
from provider.translate.output import SERVICES
from provider.translate.overridden import note_child
from provider.translate.ownership import Name
from provider.translate.references import (
    check_foreign,
    check_provider_reference,
    middleware_references,
    note_unwatched,
    transport_reference,
)
from provider.translate.servers import load_servers

STRATEGIES: Final = {
    "": "wrr",
    "wrr": "wrr",
    "RoundRobin": "wrr",
    "p2c": "p2c",
    "hrw": "hrw",
    "leasttime": "leasttime",
}
DEFAULT_FLUSH_INTERVAL: Final = "100ms"
DEFAULT_COOKIE_PATH: Final = "/"
DEFAULT_WEIGHT: Final = 1
TRANSPORT: Final = SERVERS_TRANSPORT.name


def reference(holder: Holder, spec: LoadBalancerSpec, field: str, own: str) -> tuple[str, Service | None]:
    """Output name of what the holder refers to, and its load balancer if it has one, which is then called `own`.

    The service is None for a TraefikService, which is defined elsewhere. Raises Rejected; `field` is the path
    of the reference in the holder.
    """
    try:
        if spec.kind in ("", "Service"):
            return own, load_balancer(holder, spec, field)
        if spec.kind == "TraefikService":
            name = _traefik_service_name(holder, spec, field)
            note_composed(holder.report, spec, field)
            return name, None
    except Rejected as error:
        raise error.within(field) from error
    raise Rejected(
        "UnsupportedKind",
        f"kind {spec.kind} is not supported",
        field=f"{field}.kind",
        advice="use Service or TraefikService",
    )


def child(holder: Holder, spec: LoadBalancerSpec, field: str, place: Place, into: dict[str, Service]) -> str:
    """Output name of a child of a composed service; the load balancer of a Kubernetes Service is put into `into`.

    Raises Rejected.
    """
    own = holder.naming.child(place, spec.namespace or holder.namespace, spec.name, spec.port)
    name, service = reference(holder, spec, field, own)
    if service is not None:
        note_child(holder.view, holder.report, Name(SERVICES, name), into.get(name), service, field)
        into[name] = service
    return name


def weighted(
    holder: Holder,
    specs: list[LoadBalancerSpec],
    field: str,
    place: Place,
    into: dict[str, Service],
    sticky: traefik.Sticky | None = None,
) -> Service:
    """A weighted service over `specs`; children of kind Service are put into `into` one by one."""
    return Service(weighted=Weighted(services=entries(holder, specs, field, place, into), sticky=_sticky(sticky)))


def entries(
    holder: Holder, specs: list[LoadBalancerSpec], field: str, place: Place, into: dict[str, Service]
) -> list[WeightedEntry]:
    """Names and weights of `specs`; children of kind Service are put into `into` one by one.

    Their places are below `place`.
    """
    found = []
    for index, spec in enumerate(specs):
        name = child(holder, spec, f"{field}[{index}]", (*place, str(index)), into)
        found.append(WeightedEntry(name=name, weight=DEFAULT_WEIGHT if spec.weight is None else spec.weight))
    return found


def load_balancer(holder: Holder, spec: LoadBalancerSpec, field: str) -> Service:
    """The load balancer of a Kubernetes Service. Raises Rejected, with fields relative to the reference."""
    strategy = STRATEGIES.get(spec.strategy)
    if strategy is None:
        raise Rejected(
            "UnknownStrategy",
            f"load-balancing strategy {spec.strategy} is not supported",
            field="strategy",
            advice="use wrr, p2c, hrw or leasttime",
        )
    if spec.strategy == "RoundRobin":
        holder.report.warning("Deprecated", "RoundRobin is the old name of wrr", field=f"{field}.strategy")
    servers = load_servers(holder, spec, field)
    service = holder.at(spec.namespace or holder.namespace)
    balancer = LoadBalancer(
        pass_host_header=spec.pass_host_header is not False,
        sticky=_sticky(spec.sticky),
        servers=servers,
        strategy=strategy,
        health_check=_health_check(spec.health_check),
        passive_health_check=_passive_health_check(spec.passive_health_check),
        response_forwarding=_response_forwarding(spec.response_forwarding),
        servers_transport=transport_reference(service, spec.servers_transport, TRANSPORT, f"{field}."),
    )
    middlewares = middleware_references(service, spec.middlewares, "middlewares", prefix=f"{field}.")
    source = KubernetesSource(namespace=service.namespace, name=spec.name, port=str(spec.port))
    observability = ServiceObservability(metadata=ServiceMetadata(kubernetes=source))
    return Service(load_balancer=balancer, middlewares=middlewares, observability=observability)


def _traefik_service_name(holder: Holder, spec: LoadBalancerSpec, field: str) -> str:
    namespace = spec.namespace or holder.namespace
    if "@" not in spec.name:
        target = ObjectKey(TRAEFIK_SERVICE.name, namespace, spec.name)
        check_foreign(holder, target, "namespace")
        if not note_unwatched(holder, target, f"{field}.namespace"):
            _warn_of_absent(holder, namespace, spec.name, field)
        made = holder.naming.object(namespace, spec.name)
        holder.view.refer(SERVICES, made, namespace, f"{field}.name")
        return made
    check_provider_reference(holder, spec.name, "name")
    name, _, provider = spec.name.rpartition("@")
    if provider == PROVIDER_CRD:
        made = holder.naming.foreign(spec.namespace, name)
        holder.view.lean_on(SERVICES, made, f"{field}.name")
        return made
    if spec.namespace:
        holder.report.warning(
            "NamespaceIgnored",
            f"namespace {spec.namespace} has no meaning beside {spec.name}",
            field=f"{field}.namespace",
            advice="remove the namespace",
        )
    made = f"{normalize(name)}@{provider}"
    holder.view.lean_on(SERVICES, made, f"{field}.name")
    return made


def _warn_of_absent(holder: Holder, namespace: str, name: str, field: str) -> None:
    """The name is kept, so that what refers to it shows up as disabled until the object is there."""
    if not holder.view.has(TRAEFIK_SERVICE.name, namespace, name):
        absent = Rejected(
            "TraefikServiceNotFound",
            f"there is no TraefikService {namespace}/{name}; what refers to it will be disabled",
            field=f"{field}.name",
            advice="create it or correct the name",
        )
        holder.report.rejected(absent)


def _duration(value: int | str | None, default: str, field: str) -> str:
    if value is None:
        return default
    try:
        return format_duration(parse_duration(value))
    except DurationError as error:
        raise Rejected("InvalidDuration", str(error), field=field) from error


def _unless_zero(duration: str) -> str:
    """The original leaves these out of its configuration where they are zero; defaults are filled in before."""
    return "" if duration == "0s" else duration


def _sticky(sticky: traefik.Sticky | None) -> Sticky | None:
    if sticky is None or sticky.cookie is None:
        return None
    cookie = sticky.cookie
    return Sticky(
        cookie=Cookie(
            name=cookie.name,
            secure=cookie.secure,
            http_only=cookie.http_only,
            same_site=cookie.same_site,
            max_age=cookie.max_age,
            path=DEFAULT_COOKIE_PATH if cookie.path is None else cookie.path,
            domain=cookie.domain,
        )
    )


def _response_forwarding(forwarding: traefik.ResponseForwarding | None) -> ResponseForwarding:
    value = forwarding.flush_interval if forwarding and forwarding.flush_interval != "" else None
    interval = _duration(value, DEFAULT_FLUSH_INTERVAL, "responseForwarding.flushInterval")
    return ResponseForwarding(flush_interval=_unless_zero(interval))


def _health_check(check: traefik.HealthCheck | None) -> HealthCheck | None:
    if check is None:
        return None
    interval = _duration(check.interval, "30s", "healthCheck.interval")
    return HealthCheck(
        scheme=check.scheme,
        mode=check.mode,
        path=check.path,
        method=check.method,
        status=check.status,
        port=check.port,
        interval=interval,
        unhealthy_interval=_duration(check.unhealthy_interval, interval, "healthCheck.unhealthyInterval"),
        timeout=_duration(check.timeout, "5s", "healthCheck.timeout"),
        hostname=check.hostname,
        follow_redirects=check.follow_redirects is not False,
        headers=check.headers,
    )


def _passive_health_check(check: traefik.PassiveHealthCheck | None) -> PassiveHealthCheck | None:
    if check is None:
        return None
    attempts = check.max_failed_attempts
    window = _duration(check.failure_window, "10s", "passiveHealthCheck.failureWindow")
    return PassiveHealthCheck(
        failure_window=_unless_zero(window),
        max_failed_attempts=1 if attempts is None else attempts,
    )
