"""IngressRouteTCP -> TCP routers, the services they need and the certificate they name.

Each route stands alone: what is wrong with one is reported and its siblings live. Of its services those that
can be used share the load.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from config.layer4 import TCPRouter, TCPRouterTLS
from config.rule_matchers_tcp import ANY_NAME, TCP
from config.rules import parse, server_names_of
from config.tls import Domain
from provider.findings import Rejected, Report
from provider.resources.kinds import MIDDLEWARE_TCP, ObjectKey
from provider.resources.traefik_layer4 import TLSTCP, IngressRouteTCP, RouteTCP
from provider.translate.entry_points import TLS_OPTIONS, lean_on_tls, note_streams
from provider.translate.holder import Holder
from provider.translate.no_effect import note_tls
from provider.translate.output import Output
from provider.translate.references import middleware_references, tls_option_reference
from provider.translate.route_findings import (
    check_match,
    note_class,
    note_duplicate,
    note_priority,
    note_rule,
    note_syntax,
)
from provider.translate.secrets import route_certificate
from provider.translate.services_layer4 import tcp_services
from provider.translate.view import View

KIND: Final = "IngressRouteTCP"
ROUTERS: Final = "tcp.routers"


def translate(view: View, route: IngressRouteTCP) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    output = Output.of(ObjectKey(KIND, route.metadata.namespace, route.metadata.name))
    if view.options.takes_class(route.class_value):
        note_class(output.report, route.spec.ingress_class_name, route.class_value)
        for index, one in enumerate(route.spec.routes):
            note_syntax(output.report, one.syntax, f"spec.routes[{index}]")
        _Translation(Holder(view, route.metadata.namespace, output.report), route, output).run()
    return output


class _Translation:
    """One IngressRouteTCP on its way into an Output."""

    def __init__(self, holder: Holder, source: IngressRouteTCP, output: Output) -> None:
        self._holder = holder
        self._source = source
        self._output = output
        self._services = tcp_services(holder, output)

    def run(self) -> None:
        tls = self._source.spec.tls
        if tls is not None:
            note_tls(self._output.report, tls)
        if tls is not None and not tls.passthrough:
            route_certificate(self._holder, self._output, tls.secret_name)
        if self._source.spec.routes:
            note_streams(self._holder, self._source.spec.entry_points, "spec.entryPoints")
        if tls is not None and not tls.passthrough and (tls.options is None or not tls.options.name):
            lean_on_tls(self._holder, (), "", "", "spec.tls.options")
        for index, route in enumerate(self._source.spec.routes):
            try:
                self._translate_route(route, index)
            except Rejected as error:
                self._output.report.rejected(error)

    def _translate_route(self, route: RouteTCP, index: int) -> None:
        """Add one route's router and services. Raises Rejected with the field's full path."""
        field = f"spec.routes[{index}]"
        check_match(route.match, field, "HostSNI(`a.example`)")
        metadata, spec = self._source.metadata, self._source.spec
        name = self._holder.naming.tcp_router(metadata.namespace, metadata.name, index, route.match)
        middlewares = middleware_references(
            self._holder, route.middlewares, f"{field}.middlewares", MIDDLEWARE_TCP.name
        )
        service = self._services.put(name, route.services, f"{field}.services")
        tls = self._tls(spec.tls)
        self._warn(name, route, field)
        router = TCPRouter(
            entry_points=spec.entry_points,
            middlewares=middlewares,
            service=service,
            rule=route.match,
            rule_syntax=route.syntax,
            priority=route.priority,
            tls=tls,
        )
        self._output.put(ROUTERS, name, router)

    def _tls(self, tls: TLSTCP | None) -> TCPRouterTLS | None:
        if tls is None:
            return None
        options = ""
        if tls.options is not None and tls.passthrough:
            unheard = replace(self._holder, report=Report(self._holder.referrer))
            options = tls_option_reference(unheard, tls.options, "spec.tls.options")
            self._holder.view.ignore(TLS_OPTIONS)
        elif tls.options is not None:
            options = tls_option_reference(self._holder, tls.options, "spec.tls.options")
        return TCPRouterTLS(
            passthrough=tls.passthrough,
            options=options,
            cert_resolver=tls.cert_resolver,
            domains=[Domain(main=domain.main, sans=domain.sans) for domain in tls.domains],
        )

    def _warn(self, name: str, route: RouteTCP, field: str) -> None:
        report = self._output.report
        if name in self._output.of_section(ROUTERS):
            note_duplicate(report, field)
        syntax = route.syntax or self._holder.options.default_rule_syntax
        if note_rule(report, route.match, syntax, field, TCP) and self._source.spec.tls is None:
            self._warn_of_plaintext(route.match, syntax, field)
        note_priority(report, route.priority, field)

    def _warn_of_plaintext(self, rule: str, syntax: str, field: str) -> None:
        """Without TLS there is no server name; Traefik looks at the first name that the rule asks for."""
        first = server_names_of(parse(rule, syntax, TCP))[:1]
        if first and first != (ANY_NAME.decode(),):
            missing = Rejected(
                "TLSMissing",
                f"the router will be disabled: HostSNI(`{first[0]}`) can be known of TLS connections only",
                field=f"{field}.match",
                advice="add spec.tls (with passthrough: true to leave TLS to the server) or write HostSNI(`*`)",
            )
            self._output.report.rejected(missing)
