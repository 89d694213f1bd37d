"""IngressRoute -> HTTP routers, the services they need and the certificate they name.

Each route stands alone: what is wrong with one is reported and its siblings live. Only a bad parent reference
takes the whole object, because a child without its parent would be served unprotected.
"""

from __future__ import annotations

from collections.abc import Iterator

from config import http
from config.naming import WEIGHTED
from provider.findings import Rejected
from provider.resources.kinds import INGRESS_ROUTE, ObjectKey
from provider.resources.traefik import TLS, IngressRoute, ObjectReference, Observability, Route
from provider.translate.cycles import Place, cycle_from
from provider.translate.entry_points import lean_on, lean_on_tls, note_streams
from provider.translate.holder import Holder
from provider.translate.no_effect import note_tls, note_weight
from provider.translate.output import ROUTERS, Output
from provider.translate.references import check_namespace, middleware_references, tls_option_reference
from provider.translate.route_findings import (
    check_match,
    note_child,
    note_class,
    note_duplicate,
    note_parent_service,
    note_priority,
    note_rule,
    note_syntax,
)
from provider.translate.secrets import route_certificate
from provider.translate.services import reference, weighted
from provider.translate.view import View


def translate(view: View, route: IngressRoute) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    output = Output.of(ObjectKey("IngressRoute", route.metadata.namespace, route.metadata.name))
    if view.options.takes_class(route.class_value):
        note_class(output.report, route.spec.ingress_class_name, route.class_value)
        for index, one in enumerate(route.spec.routes):
            note_syntax(output.report, one.syntax, f"spec.routes[{index}]")
        _Translation(Holder(view, route.metadata.namespace, output.report), route, output).run()
    return output


class _Translation:
    """One IngressRoute on its way into an Output."""

    def __init__(self, holder: Holder, source: IngressRoute, output: Output) -> None:
        self._holder = holder
        self._source = source
        self._output = output
        metadata = source.metadata
        origin = http.IngressSource(namespace=metadata.namespace, name=metadata.name, kind="IngressRoute")
        self._metadata = http.RouterMetadata(ingress=origin)

    def run(self) -> None:
        if self._source.spec.tls is not None:
            note_tls(self._output.report, self._source.spec.tls)
            route_certificate(self._holder, self._output, self._source.spec.tls.secret_name)
        try:
            parents = self._parent_routers()
        except Rejected as error:
            self._output.report.rejected(error)
            return
        if not parents:
            self._lean_on_entry_points()
        for index, route in enumerate(self._source.spec.routes):
            try:
                self._translate_route(route, index, parents)
            except Rejected as error:
                self._output.report.rejected(error)
        if parents and self._source.spec.tls is not None:
            # Traefik takes such routers out before it builds any; their services stay
            self._output.sections.pop(ROUTERS, None)
            self._output.places.clear()

    def _lean_on_entry_points(self) -> None:
        """Report those that do not exist, and note what the others add."""
        holder, spec, field = self._holder, self._source.spec, "spec.entryPoints"
        if not spec.routes:
            return
        usable = note_streams(holder, spec.entry_points, field)
        lean_on(holder, usable, field)
        if spec.tls is None or spec.tls.options is None or not spec.tls.options.name:
            lean_on_tls(holder, usable, None if spec.tls is None else "", field, "spec.tls.options")

    def _translate_route(self, route: Route, index: int, parents: list[str]) -> None:
        """Add one route's router and services. Raises Rejected with the field's full path."""
        field = f"spec.routes[{index}]"
        _check_route(route, field)
        metadata, spec = self._source.metadata, self._source.spec
        name = self._holder.naming.http_router(metadata.namespace, metadata.name, index, route.match)
        middlewares = middleware_references(self._holder, route.middlewares, f"{field}.middlewares")
        service = self._service(name, route, f"{field}.services")
        tls = self._tls(spec.tls)
        self._warn(name, route, field)
        self._output.places[name] = field
        self._output.routers[name] = http.Router(
            entry_points=spec.entry_points,
            middlewares=middlewares,
            service=service,
            rule=route.match,
            parent_refs=parents,
            rule_syntax=route.syntax,
            priority=route.priority,
            tls=tls,
            observability=self._observability(route.observability),
        )

    def _warn(self, name: str, route: Route, field: str) -> None:
        report = self._output.report
        if name in self._output.routers:
            note_duplicate(report, field)
        syntax = route.syntax or self._holder.options.default_rule_syntax
        note_rule(report, route.match, syntax, field)
        note_priority(report, route.priority, field)

    def _service(self, name: str, route: Route, field: str) -> str:
        """Name for the router's `service`; what must be defined for it is put into the output."""
        if not route.services:
            return ""
        services, naming = self._output.services, self._holder.naming
        if len(route.services) > 1:
            several = naming.weighted(name)
            services[several] = weighted(self._holder, route.services, field, (name, WEIGHTED), services)
            return several
        own, service = reference(self._holder, route.services[0], f"{field}[0]", naming.balancer(name))
        note_weight(self._holder.report, route.services[0].weight, f"{field}[0]")
        if service is not None:
            services[own] = service
        return own

    def _tls(self, tls: TLS | None) -> http.RouterTLS | None:
        if tls is None:
            return None
        options = ""
        if tls.options is not None:
            options = tls_option_reference(self._holder, tls.options, "spec.tls.options")
        domains = [http.Domain(main=domain.main, sans=domain.sans) for domain in tls.domains]
        return http.RouterTLS(options=options, cert_resolver=tls.cert_resolver, domains=domains)

    def _observability(self, given: Observability | None) -> http.Observability:
        if given is None:
            return http.Observability(metadata=self._metadata)
        return http.Observability(
            access_logs=given.access_logs,
            metrics=given.metrics,
            tracing=given.tracing,
            trace_verbosity=given.trace_verbosity,
            metadata=self._metadata,
        )

    def _parent_routers(self) -> list[str]:
        """Names of the routers that all parents contribute. Raises Rejected for the whole child."""
        names: list[str] = []
        for index, parent in enumerate(self._source.spec.parent_refs):
            names.extend(self._routers_of_parent(parent, f"spec.parentRefs[{index}]"))
        if self._source.spec.parent_refs and not names:
            # the reference would make such a child an ordinary router, without any parent's middleware
            raise Rejected(
                "ParentWithoutRoutes",
                "no parent has a route, so this object would be served without its parents' middlewares",
                field="spec.parentRefs",
                advice="add a route to the parent IngressRoute",
            )
        if names:
            note_child(self._output.report, self._source.spec)
            self._note_cycle()
        return names

    def _note_cycle(self) -> None:
        """Report parents that lead into a cycle. The routers are put out; the workers never reach them."""
        key = self._holder.referrer
        cycle = cycle_from(self._holder.view, key.kind, (key.namespace, key.name), self._parents_of)
        if cycle:
            error = Rejected(
                "ParentCycle",
                f"the routers will not be reached, their parents lead into a cycle: {' -> '.join(cycle)}",
                field="spec.parentRefs",
                advice="remove one of these references",
            )
            self._output.report.rejected(error)

    def _parents_of(self, place: Place) -> Iterator[Place]:
        found = self._holder.view.ingress_route(*place)
        for parent in found.spec.parent_refs if found is not None else ():
            yield parent.namespace or place[0], parent.name

    def _routers_of_parent(self, parent: ObjectReference, field: str) -> list[str]:
        namespace = parent.namespace or self._holder.namespace
        title = f"parent IngressRoute {namespace}/{parent.name}"
        check_namespace(self._holder, ObjectKey(INGRESS_ROUTE.name, namespace, parent.name), field)
        found = self._holder.view.ingress_route(namespace, parent.name)
        self._output.parents.add(ObjectKey(INGRESS_ROUTE.name, namespace, parent.name))
        if found is None:
            raise Rejected(
                "ParentNotFound", f"{title} does not exist", field=f"{field}.name", advice="create it first"
            )
        if any(route.services for route in found.spec.routes):
            note_parent_service(self._output.report, f"{namespace}/{parent.name}", field)
        naming = self._holder.naming
        names = [
            naming.http_router(namespace, parent.name, index, route.match)
            for index, route in enumerate(found.spec.routes)
        ]
        for name in names:
            self._holder.view.refer(ROUTERS, name, namespace, f"{field}.name")
        return names


def _check_route(route: Route, field: str) -> None:
    if route.kind not in ("", "Rule"):
        raise Rejected(
            "UnsupportedKind",
            f"kind {route.kind} is not supported",
            field=f"{field}.kind",
            advice="write kind: Rule",
        )
    check_match(route.match, field, "Host(`a.example`)")
