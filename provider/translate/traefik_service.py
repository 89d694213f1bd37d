"""TraefikService -> an HTTP service composed of others, and those of its children that are Kubernetes Services.

One failing child takes the whole object; children built before it stay in the output, unused, as in Traefik.
What only the workers could refuse (cycles, percentages) is emitted, so that it shows up as disabled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from config.http import Failover, FailoverErrors, HighestRandomWeight, Mirror, Mirroring, Service
from config.naming import FAILOVER, FALLBACK, HIGHEST_RANDOM_WEIGHT, MIRROR, MIRRORING, WEIGHTED, Place
from provider.findings import Rejected
from provider.resources import traefik_services as written
from provider.resources.kinds import ObjectKey
from provider.resources.traefik import LoadBalancerSpec
from provider.translate import services
from provider.translate.holder import Holder
from provider.translate.output import SERVICES, Output
from provider.translate.references import OWN_SUFFIX
from provider.translate.service_cycles import KIND, cycle_from
from provider.translate.view import View

_STATUS: Final = re.compile(r"[0-9]+(?:-[0-9]+)?")


class Composition(NamedTuple):
    """One type of TraefikService; `attribute` is the spec's, `key` how the object spells it."""

    key: str
    attribute: str
    make: Callable[[Holder, str, Any, dict[str, Service]], Service]


def translate(view: View, source: written.TraefikService) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    namespace, name = source.metadata.namespace, source.metadata.name
    output = Output.of(ObjectKey(KIND, namespace, name))
    holder = Holder(view, namespace, output.report)
    _fill(holder, output, name, source.spec)
    output.judge(SERVICES, view.naming.object(namespace, name))
    return output


def _fill(holder: Holder, output: Output, name: str, spec: written.TraefikServiceSpec) -> None:
    try:
        composition = _composition(holder, spec)
        own = holder.naming.object(holder.namespace, name)
        service = composition.make(holder, own, getattr(spec, composition.attribute), output.services)
    except Rejected as error:
        output.report.rejected(error)
        return
    _put(holder, output, own, service, f"spec.{composition.key}")
    _warn_of_cycle(holder, name, f"spec.{composition.key}")


def _composition(holder: Holder, spec: written.TraefikServiceSpec) -> Composition:
    """The type that counts; others are reported. Raises Rejected if there is none."""
    given = [one for one in COMPOSITIONS if getattr(spec, one.attribute) is not None]
    if not given:
        raise Rejected(
            "TypeMissing",
            "the service has no type",
            field="spec",
            advice=f"add one of {', '.join(one.key for one in COMPOSITIONS)}",
        )
    for ignored in given[1:]:
        holder.report.warning(
            "TypeIgnored",
            f"{ignored.key} is ignored beside {given[0].key}",
            field=f"spec.{ignored.key}",
            advice="make it a TraefikService of its own",
        )
    return given[0]


def _put(holder: Holder, output: Output, name: str, service: Service, field: str) -> None:
    if name in output.services:
        holder.report.rejected(
            Rejected(
                "NameTaken",
                f"the service will be disabled, it leads to itself: a child has the same name, {name}",
                field=field,
                advice="rename the TraefikService",
            )
        )
    output.services[name] = service


def _warn_of_cycle(holder: Holder, name: str, field: str) -> None:
    cycle = cycle_from(holder.view, holder.namespace, name)
    if cycle:
        holder.report.rejected(
            Rejected(
                "ServiceCycle",
                f"the service will be disabled, it leads into a cycle: {' -> '.join(cycle)}",
                field=field,
                advice="remove one of these references",
            )
        )


def _child(holder: Holder, spec: LoadBalancerSpec, field: str, place: Place, into: dict[str, Service]) -> str:
    return services.child(holder, _own_pods(spec), field, place, into)


def _own_pods(spec: LoadBalancerSpec) -> LoadBalancerSpec:
    """The same without the provider's nativeLBByDefault, which is for services of routes."""
    return msgspec.structs.replace(spec, native_lb=False) if spec.native_lb is None else spec


def _weighted(holder: Holder, own: str, given: written.WeightedRoundRobin, into: dict[str, Service]) -> Service:
    specs = [_own_pods(spec) for spec in given.services]
    return services.weighted(holder, specs, "spec.weighted.services", (own, WEIGHTED), into, given.sticky)


def _highest_random_weight(
    holder: Holder, own: str, given: written.HighestRandomWeight, into: dict[str, Service]
) -> Service:
    specs, place = [_own_pods(spec) for spec in given.services], (own, HIGHEST_RANDOM_WEIGHT)
    entries = services.entries(holder, specs, "spec.highestRandomWeight.services", place, into)
    return Service(highest_random_weight=HighestRandomWeight(services=entries))


def _mirroring(holder: Holder, own: str, given: written.Mirroring, into: dict[str, Service]) -> Service:
    main = _child(holder, given, "spec.mirroring", (own, MIRRORING), into)
    mirrors = []
    for index, mirror in enumerate(given.mirrors):
        field = f"spec.mirroring.mirrors[{index}]"
        name = _child(holder, mirror, field, (own, MIRROR, str(index)), into)
        mirrors.append(Mirror(name=name, percent=mirror.percent))
        if not 0 <= mirror.percent <= 100:
            holder.report.rejected(
                Rejected(
                    "InvalidPercent",
                    f"the service will be disabled: {mirror.percent} is not from 0 to 100",
                    field=f"{field}.percent",
                    advice="write how many of a hundred requests are to be mirrored",
                )
            )
    mirroring = Mirroring(
        service=main, mirror_body=given.mirror_body, max_body_size=given.max_body_size, mirrors=mirrors
    )
    return Service(mirroring=mirroring)


def _failover(holder: Holder, own: str, given: written.Failover, into: dict[str, Service]) -> Service:
    for name, child in (("service", given.service), ("fallback", given.fallback)):
        if child == LoadBalancerSpec():
            raise Rejected(
                "ServiceMissing",
                f"failover needs a service and a fallback, and has no {name}",
                field=f"spec.failover.{name}",
                advice=f"name a Service or TraefikService in {name}",
            )
    children: dict[str, Service] = {}  # put out together or not at all
    main = _child(holder, given.service, "spec.failover.service", (own, FAILOVER), children)
    fallback = _child(holder, given.fallback, "spec.failover.fallback", (own, FALLBACK), children)
    into.update(children)
    given_errors = given.errors or written.FailoverErrors()
    errors = FailoverErrors(max_request_body_bytes=given_errors.max_request_body_bytes, status=given_errors.status)
    if not errors.status and not _can_be_unhealthy(main, into.get(main)):
        holder.report.rejected(
            Rejected(
                "FailoverWithoutReason",
                "the service will be disabled: no status counts as failure and its service has no health check",
                field="spec.failover.errors.status",
                advice="list the status codes that make the fallback answer, such as 500-599",
            )
        )
    for index, status in enumerate(errors.status):
        if not _STATUS.fullmatch(status):
            holder.report.rejected(
                Rejected(
                    "InvalidStatus",
                    f"the service will be disabled: {status} is neither a status code nor a range of them",
                    field=f"spec.failover.errors.status[{index}]",
                    advice="write a code such as 503, or a range such as 500-599",
                )
            )
    return Service(failover=Failover(service=main, fallback=fallback, errors=errors))


def _can_be_unhealthy(name: str, service: Service | None) -> bool:
    """Of services of other providers we do not know; our own composed ones have no health."""
    if service is not None:
        return service.load_balancer is not None and service.load_balancer.health_check is not None
    return "@" in name and not name.endswith(OWN_SUFFIX)


COMPOSITIONS: Final = (
    Composition("weighted", "weighted", _weighted),
    Composition("mirroring", "mirroring", _mirroring),
    Composition("highestRandomWeight", "highest_random_weight", _highest_random_weight),
    Composition("failover", "failover", _failover),
)
"""The first of them that an object has is the one that counts."""
