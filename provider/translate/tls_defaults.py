"""TLSOptions and TLSStores named `default`: they are one for the whole proxy, so two of them are none.

With two in different namespaces neither can be chosen without surprising somebody: both are left out, the
built-in defaults apply, and each object says why. `defaultTLSResourcesNamespace` ends that: it names the only
namespace whose `default` counts, so that no tenant can switch off or replace the administrator's.
"""

from __future__ import annotations

from typing import Final

from config.naming import Naming
from provider.findings import Rejected
from provider.translate.view import View

DEFAULT: Final = "default"


def output_name(naming: Naming, namespace: str, name: str) -> str:
    """Name of a TLSOption or TLSStore in the configuration.

    Normalized, unlike Traefik's: references to it are normalized too, and would miss a name with a dot. Safe
    names are normalized nowhere.

    >>> output_name(Naming(), "a", "strict.tls"), output_name(Naming(), "a", "default")
    ('a-strict-tls', 'default')
    """
    return DEFAULT if name == DEFAULT else naming.object(namespace, name)


def check_may_be_default(view: View, kind: str, namespace: str, name: str) -> None:
    """Raise Rejected if this is a `default` outside of the one namespace that may have one."""
    only = view.options.default_tls_resources_namespace
    if name == DEFAULT and only and namespace != only:
        raise Rejected(
            "DefaultNotAllowed",
            f"a {kind} named default counts in namespace {only} only; this one is left out",
            field="metadata.name",
            advice=f"give it another name, or see {view.options.section}.defaultTLSResourcesNamespace",
        )


def check_only_default(view: View, kind: str, namespace: str, name: str) -> None:
    """Raise Rejected if this is a `default` beside one of another namespace, unless one alone may have it."""
    if name != DEFAULT or view.options.default_tls_resources_namespace:
        return
    others = [other for other, its_name in view.names(kind) if its_name == DEFAULT and other != namespace]
    if others:
        raise Rejected(
            "DuplicateDefault",
            f"there is a {kind} named default in {', '.join([namespace, *others])}: none of them is used",
            field="metadata.name",
            advice="keep one of them, and give the others a name to refer to",
        )
