"""Ingress -> HTTP routers, the services they lead to and the certificates it names.

An annotation that cannot be understood costs the whole Ingress, a backend that cannot be had its path. `spec.tls`
only loads certificates: what makes a router serve TLS is an annotation or its entry point.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import msgspec

from config import http
from config.names import normalize, rule_hash
from provider.findings import Rejected, Report
from provider.resources.core import CLASS_ANNOTATION
from provider.resources.ingress import CONTROLLER, Backend, Ingress, Path
from provider.resources.kinds import ObjectKey
from provider.translate.entry_points import MIDDLEWARES, lean_on, lean_on_tls, note_streams
from provider.translate.holder import Holder
from provider.translate.ingress_annotations import RouterOptions, annotation_field, router_options
from provider.translate.ingress_rules import path_matcher, rule_of
from provider.translate.ingress_services import check_other_providers, load_balancer, service_name
from provider.translate.output import Output
from provider.translate.route_findings import LARGEST_PRIORITY, what_is_wrong
from provider.translate.secrets import stored_certificate
from provider.translate.servers_transport import SECTION as TRANSPORTS
from provider.translate.view import View

DEFAULT_ROUTER: Final = "default-router"
DEFAULT_BACKEND: Final = "default-backend"
LEAST_PRIORITY: Final = -(1 << 31)


def translate(view: View, ingress: Ingress) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    output = Output.of(ObjectKey("Ingress", ingress.metadata.namespace, ingress.metadata.name))
    if is_taken(view, ingress):
        _Translation(Holder(view, ingress.metadata.namespace, output.report), ingress, output).run()
    else:
        _note_class(view, ingress, output.report)
    return output


def is_taken(view: View, ingress: Ingress) -> bool:
    """Whether the Ingress asks for a class that is ours."""
    name, wanted = ingress.spec.ingress_class_name, view.options.ingress_class
    if name is None:
        return view.options.takes_class(ingress.metadata.annotations.get(CLASS_ANNOTATION, ""))
    if wanted not in ("", name):
        return False
    found = view.ingress_class(name)
    return found is not None and found.spec.controller == CONTROLLER


def _note_class(view: View, ingress: Ingress, report: Report) -> None:
    """Why an Ingress that names our class is left out all the same. About others' classes we say nothing."""
    name = ingress.spec.ingress_class_name
    if not name or name != view.options.ingress_class:
        return
    if view.options.disable_ingress_class_lookup:
        what, advice = "cannot be looked up", f"write the annotation {CLASS_ANNOTATION} instead of the field"
    elif view.ingress_class(name) is None:
        what, advice = "does not exist", f"create it with spec.controller: {CONTROLLER}"
    else:
        what, advice = "belongs to another controller", f"set its spec.controller to {CONTROLLER}"
    report.warning(
        "IngressClassUnknown",
        f"IngressClass {name} {what}, so the Ingress is not served",
        field="spec.ingressClassName",
        advice=advice,
    )


class _Translation:
    """One Ingress on its way into an Output."""

    def __init__(self, holder: Holder, source: Ingress, output: Output) -> None:
        self._holder = holder
        self._source = source
        self._output = output
        self._routers: defaultdict[str, list[tuple[str, http.Router]]] = defaultdict(list)

    def run(self) -> None:
        report, spec = self._output.report, self._source.spec
        try:
            options = _options(self._holder, self._source)
        except Rejected as error:
            message = f"{error.message}; the Ingress is not served"
            report.rejected(Rejected(error.reason, message, field=error.field, advice=error.advice))
            return
        if options.rule_syntax:
            _note_syntax(report)
        self._lean(options)
        self._certificates()
        if not spec.rules and spec.default_backend is not None:
            try:
                self._default_backend(spec.default_backend, options)
            except Rejected as error:
                report.rejected(error)
        for index, rule in enumerate(spec.rules):
            for place, path in enumerate(rule.http.paths if rule.http else []):
                field = f"spec.rules[{index}].http.paths[{place}]"
                try:
                    self._path(rule.host, path, options, field)
                except Rejected as error:
                    report.rejected(error)
        self._name_routers()

    def _lean(self, options: RouterOptions) -> None:
        """Note what all routers need, by annotations and by the entry points that these name."""
        holder, field = self._holder, annotation_field("router.entrypoints")
        usable = note_streams(holder, options.entry_points, field)
        lean_on(holder, usable, field)
        for name in options.middlewares:
            holder.view.lean_on(MIDDLEWARES, name, annotation_field("router.middlewares"))
        own = options.tls.options if options.tls is not None else None
        lean_on_tls(holder, usable, own, field, annotation_field("router.tls.options"))

    def _lean_on_service(self, service: http.Service, field: str) -> None:
        """Note what the annotations of a Service ask for."""
        balancer = service.load_balancer
        if balancer is not None and balancer.servers_transport:
            self._holder.view.lean_on(TRANSPORTS, balancer.servers_transport, f"{field}.service.name")
        for name in service.middlewares:
            self._holder.view.lean_on(MIDDLEWARES, name, f"{field}.service.name")

    def _certificates(self) -> None:
        """Of the Secrets that are named; after one that cannot be had the rest is left out, as in Traefik."""
        try:
            for index, tls in enumerate(self._source.spec.tls):
                if tls.secret_name:
                    field = f"spec.tls[{index}].secretName"
                    stored_certificate(self._holder, self._output, tls.secret_name, field)
        except Rejected as error:
            self._output.report.rejected(error)

    def _default_backend(self, backend: Backend, options: RouterOptions) -> None:
        """The one catch-all of the whole proxy. Raises Rejected if it cannot be had or another Ingress has it."""
        try:
            _, service = load_balancer(self._holder, backend)
        except Rejected as error:
            raise error.within("spec.defaultBackend") from error
        self._lean_on_service(service, "spec.defaultBackend")
        first = self._earlier_default()
        if first:
            raise Rejected(
                "DefaultBackendTaken",
                f"Ingress {first} has the default backend already",
                field="spec.defaultBackend",
                advice="there is one for the whole proxy: remove one of the two, or give this one a rule",
            )
        self._output.services[DEFAULT_BACKEND] = service
        self._output.routers[DEFAULT_ROUTER] = http.Router(
            entry_points=options.entry_points,
            middlewares=options.middlewares,
            service=DEFAULT_BACKEND,
            rule='PathPrefix("/")',
            rule_syntax="default",
            priority=LEAST_PRIORITY,
            tls=options.tls,
            observability=self._observability(options),
        )

    def _earlier_default(self) -> str:
        """An older Ingress (of equal age the first by name) that has the default backend; empty if none has.

        By name alone a namespace could take it from another by what it is called.
        """
        view, own = self._holder.view, _age(self._source)
        others = (view.get("Ingress", namespace, name) for namespace, name in view.names("Ingress"))
        older = sorted((other for other in others if other is not None and _age(other) < own), key=_age)
        first = next((other for other in older if _has_default_backend(view, other)), None)
        return f"{first.metadata.namespace}/{first.metadata.name}" if first is not None else ""

    def _path(self, host: str, path: Path, options: RouterOptions, field: str) -> None:
        """Add the router of one path and its service. Raises Rejected with the field's full path."""
        try:
            backend, service = load_balancer(self._holder, path.backend)
        except Rejected as error:
            raise error.within(f"{field}.backend") from error
        self._lean_on_service(service, f"{field}.backend")
        name = service_name(self._holder.namespace, backend)
        self._output.services[name] = service
        matcher = path_matcher(path.path_type, options.path_matcher) if path.path else ""
        syntax = options.rule_syntax or self._holder.options.default_rule_syntax
        strict = self._holder.options.strict_prefix_matching
        rule = rule_of(host, path.path, matcher, syntax=syntax, strict=strict)
        self._note_rule(rule, syntax, f"{field}.path")
        router = http.Router(
            entry_points=options.entry_points,
            middlewares=options.middlewares,
            service=name,
            rule=rule,
            rule_syntax=options.rule_syntax,
            priority=options.priority,
            tls=options.tls,
            observability=self._observability(options),
        )
        metadata = self._source.metadata
        key = normalize(f"{metadata.namespace}-{metadata.name}-{host}{path.path}")
        self._routers[key].append((field, router))

    def _name_routers(self) -> None:
        """Routers whose names would be the same are told apart by the hash of their rule."""
        routers = self._output.routers
        for key, namesakes in self._routers.items():
            for field, router in namesakes:
                name = key if len(namesakes) == 1 else f"{key}-{rule_hash(router.rule)}"
                if name in routers:
                    self._output.report.warning(
                        "DuplicateRule",
                        "an earlier path of this Ingress has the same rule and is replaced by this one",
                        field=field,
                        advice="remove one of the two",
                    )
                routers[name] = router

    def _note_rule(self, rule: str, syntax: str, field: str) -> None:
        wrong = what_is_wrong(rule, syntax) if rule else "there is neither a host nor a path"
        if wrong:
            # the router is emitted all the same, so that it shows up as disabled where operators look
            self._output.report.rejected(
                Rejected("InvalidRule", f"the router will be disabled: {wrong}", field=field)
            )

    def _observability(self, options: RouterOptions) -> http.Observability:
        metadata = self._source.metadata
        origin = http.IngressSource(namespace=metadata.namespace, name=metadata.name, kind="Ingress")
        return msgspec.structs.replace(options.observability, metadata=http.RouterMetadata(ingress=origin))


def _options(holder: Holder, ingress: Ingress) -> RouterOptions:
    """Raises Rejected for annotations that cost the whole Ingress."""
    options = router_options(ingress.metadata.annotations)
    tls_options = options.tls.options if options.tls else ""
    check_other_providers(holder, {"middlewares": options.middlewares, "tls.options": tls_options}, "router")
    if options.priority > LARGEST_PRIORITY:
        too_large = Rejected(
            "PriorityTooLarge",
            f"priority {options.priority} is above {LARGEST_PRIORITY}, the routers will be disabled",
            field=annotation_field("router.priority"),
            advice="choose a smaller priority",
        )
        holder.report.rejected(too_large)
    return options


def _age(ingress: Ingress) -> tuple[str, str, str]:
    metadata = ingress.metadata
    return metadata.creation_timestamp, metadata.namespace, metadata.name


def _has_default_backend(view: View, ingress: Ingress) -> bool:
    """Whether another Ingress becomes the catch-all, unless one before it does."""
    backend = ingress.spec.default_backend
    if ingress.spec.rules or backend is None or not is_taken(view, ingress):
        return False
    metadata = ingress.metadata
    unheard = Report(ObjectKey("Ingress", metadata.namespace, metadata.name))
    holder = Holder(view, metadata.namespace, unheard)
    try:
        _options(holder, ingress)
        load_balancer(holder, backend)
    except Rejected:
        return False
    return True


def _note_syntax(report: Report) -> None:
    report.warning(
        "Deprecated",
        "the rule syntax option is deprecated",
        field=annotation_field("router.rulesyntax"),
        advice="use v3 syntax and remove the annotation",
    )
