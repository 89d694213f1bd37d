"""Who may refer to whom: across namespaces, across providers, and how the reference is spelled afterwards.

A forbidden reference raises Rejected; the holder of the reference decides what is lost with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from config.names import PROVIDER_CRD
from provider.findings import Rejected
from provider.resources.kinds import TLS_OPTION, ObjectKey
from provider.resources.traefik import ObjectReference
from provider.translate.grants import grant_advice, is_granted
from provider.translate.holder import Holder
from provider.translate.tls_defaults import DEFAULT
from provider.translate.typed import nearest
from provider.translate.view import View

OWN_SUFFIX: Final = f"@{PROVIDER_CRD}"
LARGEST_CHOICE: Final = 100
"""Among more names than this none is suggested: looking for it would take longer than all the rest."""

_SECTIONS: Final[Mapping[str, str]] = {
    "Middleware": "http.middlewares",
    "MiddlewareTCP": "tcp.middlewares",
    "TLSOption": "tls.options",
    "ServersTransport": "http.serversTransports",
    "ServersTransportTCP": "tcp.serversTransports",
}
_TITLES: Final[Mapping[str, str]] = {
    "IngressRoute": "parent IngressRoute",
    "Middleware": "middleware",
    "MiddlewareTCP": "middleware",
    "Service": "service",
}


def check_namespace(holder: Holder, target: ObjectKey, field: str) -> None:
    """Raise Rejected unless the holder may name `target` and its namespace can be read."""
    check_foreign(holder, target, field)
    if not holder.options.watches(target.namespace):
        raise _not_watched(holder, target, field)


def check_foreign(holder: Holder, target: ObjectKey, field: str) -> None:
    """Raise Rejected unless the holder may name `target`: by its namespace, the provider's option or a grant."""
    referrer = holder.referrer
    if may_refer(holder.view, referrer, target):
        return
    raise Rejected(
        "CrossNamespaceNotAllowed",
        f"{_title(target)} is in namespace {target.namespace}, not in {referrer.namespace}",
        field=field,
        advice=f"move it to namespace {referrer.namespace}, {grant_advice(referrer, target)}, "
        "or set allowCrossNamespace",
    )


def may_refer(view: View, referrer: ObjectKey, target: ObjectKey) -> bool:
    """Whether one object may name another."""
    if referrer.namespace == target.namespace or view.options.allow_cross_namespace:
        return True
    return is_granted(view, referrer, target)


def note_unwatched(holder: Holder, target: ObjectKey, field: str) -> bool:
    """Report that `target`, which is named and not read here, cannot be there; whether that is so.

    The name is kept, as in Traefik: what uses it is then disabled.
    """
    if holder.options.watches(target.namespace):
        return False
    holder.report.rejected(_not_watched(holder, target, field))
    return True


def _not_watched(holder: Holder, target: ObjectKey, field: str) -> Rejected:
    return Rejected(
        "NamespaceNotWatched",
        f"{_title(target)} is in namespace {target.namespace}, which is not within watched namespaces",
        field=field,
        advice=f"add {target.namespace} to {holder.options.section}.namespaces",
    )


def _title(target: ObjectKey) -> str:
    return f"{_TITLES.get(target.kind, target.kind)} {target.namespace}/{target.name}"


def check_provider_reference(holder: Holder, reference: str, field: str) -> None:
    """Raise Rejected unless the holder may write `reference`, which carries an `@provider`."""
    if reference.endswith(OWN_SUFFIX) and not holder.options.allow_cross_namespace:
        raise Rejected(
            "CrossNamespaceNotAllowed",
            f"{reference} could name an object of any namespace",
            field=field,
            advice=f"write the plain name without {OWN_SUFFIX}",
        )
    allowed = holder.options.cross_provider_namespaces
    for namespace in _judged(holder):
        if allowed is not None and namespace not in allowed:
            raise Rejected(
                "CrossProviderNotAllowed",
                f"namespace {namespace} may not refer to {reference}",
                field=field,
                advice=f"add {namespace} to {holder.options.section}.crossProviderNamespaces",
            )


def _judged(holder: Holder) -> tuple[str, ...]:
    """Namespaces that must have the right to write `name@provider`.

    What hangs on a Kubernetes Service is judged by the Service's namespace, as in Traefik. Where a grant is what
    led there, it has opened the Service and not this right, so the writer needs it as well.
    """
    if holder.options.allow_cross_namespace or holder.namespace == holder.referrer.namespace:
        return (holder.namespace,)
    return holder.namespace, holder.referrer.namespace


def object_reference(holder: Holder, reference: ObjectReference, kind: str, field: str, prefix: str = "") -> str:
    """Output name of an object of `kind` (middleware or TLS option) that the holder refers to. Raises Rejected.

    The field of Rejected is `field`; of what is only reported it is that with `prefix` before it.
    """
    if "@" in reference.name:
        check_provider_reference(holder, reference.name, f"{field}.name")
        if reference.namespace:
            holder.report.warning(
                "NamespaceIgnored",
                f"namespace {reference.namespace} has no meaning beside {reference.name}",
                field=f"{prefix}{field}.namespace",
                advice="remove the namespace",
            )
        holder.view.lean_on(_SECTIONS[kind], reference.name, f"{prefix}{field}.name")
        return reference.name
    target = ObjectKey(kind, reference.namespace or holder.namespace, reference.name)
    check_foreign(holder, target, field)
    note_unwatched(holder, target, f"{prefix}{field}")
    name = holder.naming.object(target.namespace, target.name)
    holder.view.refer(_SECTIONS[kind], name, target.namespace, f"{prefix}{field}.name")
    return name


def middleware_references(
    holder: Holder,
    references: list[ObjectReference],
    field: str,
    kind: str = "Middleware",
    prefix: str = "",
) -> list[str]:
    """Output names of middlewares. Raises Rejected; fields as `object_reference` has them.

    One that leads nowhere is reported and kept: what uses it is then disabled, not served without it.
    """
    fields = [f"{field}[{index}]" for index in range(len(references))]
    names = [
        object_reference(holder, reference, kind, path, prefix)
        for reference, path in zip(references, fields, strict=True)
    ]
    for reference, path in zip(references, fields, strict=True):
        if "@" not in reference.name:
            target = ObjectKey(kind, reference.namespace or holder.namespace, reference.name)
            _note_absent(holder, target, f"{prefix}{path}.name")
    return names


def _note_absent(holder: Holder, target: ObjectKey, field: str) -> None:
    if not holder.options.watches(target.namespace) or holder.view.has(*target):
        return
    near = _nearest(holder, target)
    absent = Rejected(
        "MiddlewareNotFound",
        f"{target.kind} {target.namespace}/{target.name} does not exist; routers that need it will be disabled",
        field=field,
        advice=f"did you mean {near}?" if near else "create it or correct the name",
    )
    holder.report.rejected(absent)


def _nearest(holder: Holder, target: ObjectKey) -> str:
    """A name that may have been meant; empty if none is close, or if it is not for the holder to know."""
    if target.namespace != holder.referrer.namespace and not holder.options.allow_cross_namespace:
        return ""
    names = holder.view.names_in(target.kind, target.namespace)
    return nearest(target.name, sorted(names)) if len(names) <= LARGEST_CHOICE else ""


def tls_option_reference(holder: Holder, reference: ObjectReference, field: str) -> str:
    """Output name of the TLS option a route object asks for, empty if it names none. Raises Rejected.

    A name that leads nowhere is kept, so that its routers are disabled and not served with weaker options.
    """
    if not reference.name:
        return ""
    name = object_reference(holder, reference, TLS_OPTION.name, field)
    namespace = reference.namespace or holder.namespace
    if "@" in reference.name:
        return name
    if reference.name == DEFAULT:
        unnameable = Rejected(
            "DefaultOptionNamed",
            "the TLSOption default cannot be referred to; the routers will be disabled",
            field=f"{field}.name",
            advice="leave the options out: the default ones then apply",
        )
        holder.report.rejected(unnameable)
    elif not holder.view.has(TLS_OPTION.name, namespace, reference.name):
        absent = Rejected(
            "TLSOptionNotFound",
            f"TLSOption {namespace}/{reference.name} does not exist; the routers will be disabled",
            field=f"{field}.name",
            advice="create it; until then connections to their hosts are closed",
        )
        holder.report.rejected(absent)
    return name


def transport_reference(holder: Holder, name: str, kind: str, prefix: str = "") -> str:
    """Output name of a servers transport. The holder looks from the Service for HTTP, from the route for TCP.

    Raises Rejected; `prefix` is the path of the service reference.
    """
    if not name:
        return ""
    if "@" in name:
        check_provider_reference(holder, name, "serversTransport")
        holder.view.lean_on(_SECTIONS[kind], name, f"{prefix}serversTransport")
        return name
    check_foreign(holder, ObjectKey(kind, holder.namespace, name), "serversTransport")
    if holder.options.watches(holder.namespace) and not holder.view.has(kind, holder.namespace, name):
        absent = Rejected(
            "ServersTransportNotFound",
            f"{kind} {holder.namespace}/{name} does not exist; routers that need it will be disabled",
            field=f"{prefix}serversTransport",
            advice="create it or correct the name",
        )
        holder.report.rejected(absent)
    made = holder.naming.object(holder.namespace, name)
    holder.view.refer(_SECTIONS[kind], made, holder.namespace, f"{prefix}serversTransport")
    return made
