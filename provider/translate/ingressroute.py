"""IngressRoute -> HTTP routers and the services they need.

Each route stands alone: what is wrong with one is reported and its siblings live. Only a bad parent reference
takes the whole object, because a child without its parent would be served unprotected.
"""

from __future__ import annotations

import functools
from typing import Final

from config import http, rules
from config.names import http_router_name
from provider.findings import Rejected
from provider.resources.kinds import ObjectKey
from provider.resources.traefik import TLS, IngressRoute, ObjectReference, Observability, Route
from provider.translate.holder import Holder
from provider.translate.output import Output
from provider.translate.references import check_namespace, middleware_references, object_reference
from provider.translate.services import reference, weighted
from provider.translate.view import View

LARGEST_PRIORITY: Final = (1 << 63) - 1 - 1000
"""Above this Traefik keeps priorities for its own routers and disables those of users."""


def translate(view: View, route: IngressRoute) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    output = Output.of(ObjectKey("IngressRoute", route.metadata.namespace, route.metadata.name))
    if view.options.takes_class(route.class_value):
        _note_deprecations(output, route)
        _Translation(Holder(view, route.metadata.namespace, output.report), route, output).run()
    return output


def _note_deprecations(output: Output, route: IngressRoute) -> None:
    if route.spec.ingress_class_name is None and route.class_value:
        output.report.warning(
            "Deprecated",
            "the annotation kubernetes.io/ingress.class is deprecated",
            field="metadata.annotations",
            advice=f"write spec.ingressClassName: {route.class_value}",
        )
    for index, one in enumerate(route.spec.routes):
        if one.syntax:
            output.report.warning(
                "Deprecated",
                "the rule syntax option is deprecated",
                field=f"spec.routes[{index}].syntax",
                advice="write the rule in v3 syntax and remove the field",
            )


class _Translation:
    """One IngressRoute on its way into an Output."""

    def __init__(self, holder: Holder, source: IngressRoute, output: Output) -> None:
        self._holder = holder
        self._source = source
        self._output = output

    def run(self) -> None:
        try:
            parents = self._parent_routers()
        except Rejected as error:
            self._output.report.rejected(error)
            return
        for index, route in enumerate(self._source.spec.routes):
            try:
                self._translate_route(route, f"spec.routes[{index}]", parents)
            except Rejected as error:
                self._output.report.rejected(error)

    def _translate_route(self, route: Route, field: str, parents: list[str]) -> None:
        """Add one route's router and services. Raises Rejected with the field's full path."""
        _check_route(route, field)
        metadata, spec = self._source.metadata, self._source.spec
        name = http_router_name(metadata.namespace, metadata.name, route.match)
        middlewares = middleware_references(self._holder, route.middlewares, f"{field}.middlewares")
        service = self._service(name, route, f"{field}.services")
        tls = self._tls(spec.tls)
        self._warn(name, route, field)
        self._output.routers[name] = http.Router(
            entry_points=spec.entry_points,
            middlewares=middlewares,
            service=service,
            rule=route.match,
            parent_refs=parents,
            rule_syntax=route.syntax,
            priority=route.priority,
            tls=tls,
            observability=_observability(route.observability),
        )

    def _warn(self, name: str, route: Route, field: str) -> None:
        if name in self._output.routers:
            self._output.report.warning(
                "DuplicateRule",
                "an earlier route of this object has the same match and is replaced by this one",
                field=f"{field}.match",
                advice="merge the two routes",
            )
        syntax = route.syntax or self._holder.options.default_rule_syntax
        wrong = _what_is_wrong(route.match, syntax)
        if wrong:
            # the router is emitted all the same, so that it shows up as disabled where operators look
            invalid = Rejected("InvalidRule", f"the router will be disabled: {wrong}", field=f"{field}.match")
            self._output.report.rejected(invalid)
        if route.priority > LARGEST_PRIORITY:
            self._output.report.warning(
                "PriorityTooLarge",
                f"priority {route.priority} is above {LARGEST_PRIORITY}, the router will be disabled",
                field=f"{field}.priority",
                advice="choose a smaller priority",
            )

    def _service(self, name: str, route: Route, field: str) -> str:
        """Name for the router's `service`; what must be defined for it is put into the output."""
        if not route.services:
            return ""
        services = self._output.services
        if len(route.services) > 1:
            services[name] = weighted(self._holder, route.services, field, services)
            return name
        full_name, service = reference(self._holder, route.services[0], f"{field}[0]")
        if service is None:
            return full_name
        services[name] = service
        return name

    def _tls(self, tls: TLS | None) -> http.RouterTLS | None:
        if tls is None:
            return None
        options = ""
        if tls.options is not None and tls.options.name:
            options = object_reference(self._holder, tls.options, "TLSOption", "spec.tls.options")
        domains = [http.Domain(main=domain.main, sans=domain.sans) for domain in tls.domains]
        return http.RouterTLS(options=options, cert_resolver=tls.cert_resolver, domains=domains)

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
        return names

    def _routers_of_parent(self, parent: ObjectReference, field: str) -> list[str]:
        namespace = parent.namespace or self._holder.namespace
        title = f"parent IngressRoute {namespace}/{parent.name}"
        check_namespace(self._holder, namespace, title, field)
        found = self._holder.view.ingress_route(namespace, parent.name)
        if found is None:
            raise Rejected(
                "ParentNotFound", f"{title} does not exist", field=f"{field}.name", advice="create it first"
            )
        return [http_router_name(namespace, parent.name, route.match) for route in found.spec.routes]


@functools.lru_cache(maxsize=1 << 16)
def _what_is_wrong(rule: str, syntax: str) -> str:
    """Why no worker can use the rule, empty if one can. Remembered: endpoints change, rules rarely do."""
    try:
        rules.parse(rule, syntax)
    except rules.RuleError as error:
        return str(error)
    return ""


def _check_route(route: Route, field: str) -> None:
    if route.kind not in ("", "Rule"):
        raise Rejected(
            "UnsupportedKind",
            f"kind {route.kind} is not supported",
            field=f"{field}.kind",
            advice="write kind: Rule",
        )
    if not route.match:
        raise Rejected(
            "EmptyMatch",
            "the rule is empty",
            field=f"{field}.match",
            advice="write a rule such as Host(`a.example`)",
        )


def _observability(given: Observability | None) -> http.Observability | None:
    if given is None:
        return None
    return http.Observability(
        access_logs=given.access_logs,
        metrics=given.metrics,
        tracing=given.tracing,
        trace_verbosity=given.trace_verbosity,
    )
