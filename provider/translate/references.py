"""Who may refer to whom: across namespaces, across providers, and how the reference is spelled afterwards.

A forbidden reference raises Rejected; the holder of the reference decides what is lost with it.
"""

from __future__ import annotations

from typing import Final

from config.names import PROVIDER_CRD, normalize, object_id
from provider.findings import Rejected
from provider.resources.traefik import ObjectReference
from provider.translate.holder import Holder
from provider.translate.tls_defaults import DEFAULT

OWN_SUFFIX: Final = f"@{PROVIDER_CRD}"


def check_namespace(holder: Holder, target: str, what: str, field: str) -> None:
    """Raise Rejected unless the holder may name `what` in namespace `target` and it can be read there."""
    check_foreign(holder, target, what, field)
    if not holder.options.watches(target):
        raise _not_watched(holder, target, what, field)


def check_foreign(holder: Holder, target: str, what: str, field: str) -> None:
    """Raise Rejected unless the holder may name `what` in namespace `target`."""
    if holder.namespace != target and not holder.options.allow_cross_namespace:
        raise Rejected(
            "CrossNamespaceNotAllowed",
            f"{what} is in namespace {target}, not in {holder.namespace}",
            field=field,
            advice=f"move it to namespace {holder.namespace} or set allowCrossNamespace",
        )


def note_unwatched(holder: Holder, target: str, what: str, field: str) -> bool:
    """Report that `what`, which is named and not read here, cannot be there; whether that is so.

    The name is kept, as in Traefik: what uses it is then disabled.
    """
    if holder.options.watches(target):
        return False
    holder.report.rejected(_not_watched(holder, target, what, field))
    return True


def _not_watched(holder: Holder, target: str, what: str, field: str) -> Rejected:
    return Rejected(
        "NamespaceNotWatched",
        f"{what} is in namespace {target}, which is not within watched namespaces",
        field=field,
        advice=f"add {target} to {holder.options.section}.namespaces",
    )


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
    if allowed is not None and holder.namespace not in allowed:
        raise Rejected(
            "CrossProviderNotAllowed",
            f"namespace {holder.namespace} may not refer to {reference}",
            field=field,
            advice=f"add {holder.namespace} to {holder.options.section}.crossProviderNamespaces",
        )


def object_reference(holder: Holder, reference: ObjectReference, what: str, field: str) -> str:
    """Output name of a middleware or TLS option (`what`) that the holder refers to. Raises Rejected."""
    if "@" in reference.name:
        check_provider_reference(holder, reference.name, f"{field}.name")
        if reference.namespace:
            holder.report.warning(
                "NamespaceIgnored",
                f"namespace {reference.namespace} has no meaning beside {reference.name}",
                field=f"{field}.namespace",
                advice="remove the namespace",
            )
        return reference.name
    namespace = reference.namespace or holder.namespace
    title = f"{what} {namespace}/{reference.name}"
    check_foreign(holder, namespace, title, field)
    note_unwatched(holder, namespace, title, field)
    return normalize(object_id(namespace, reference.name))


def middleware_references(holder: Holder, references: list[ObjectReference], field: str) -> list[str]:
    return [
        object_reference(holder, reference, "middleware", f"{field}[{index}]")
        for index, reference in enumerate(references)
    ]


def tls_option_reference(holder: Holder, reference: ObjectReference, field: str) -> str:
    """Output name of the TLS option a route object asks for, empty if it names none. Raises Rejected.

    A name that leads nowhere is kept, so that its routers are disabled and not served with weaker options.
    """
    if not reference.name:
        return ""
    name = object_reference(holder, reference, "TLSOption", field)
    namespace = reference.namespace or holder.namespace
    if "@" in reference.name:
        return name
    if reference.name == DEFAULT:
        holder.report.warning(
            "DefaultOptionNamed",
            "the TLSOption default cannot be referred to; the routers will be disabled",
            field=f"{field}.name",
            advice="leave the options out: the default ones then apply",
        )
    elif holder.view.get("TLSOption", namespace, reference.name) is None:
        holder.report.warning(
            "TLSOptionNotFound",
            f"TLSOption {namespace}/{reference.name} does not exist; the routers will be disabled",
            field=f"{field}.name",
            advice="create it; until then connections to their hosts are closed",
        )
    return name


def transport_reference(holder: Holder, name: str) -> str:
    """Output name of a servers transport. The holder is the Kubernetes Service for HTTP, the route for TCP."""
    if not name:
        return ""
    if "@" in name:
        check_provider_reference(holder, name, "serversTransport")
        return name
    return normalize(object_id(holder.namespace, name))
