"""What all static option structs are made of: the base struct, durations, descriptions beside the fields.

The structs are the only declaration of an option. Loading (static_tree), the man page (static_reference) and
the msgpack copy for the provider process are derived from them, so a field added here is an option at once.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

# Option names that are not the plain camelCase of the attribute.
_IRREGULAR: Final = {
    "kubernetes_crd": "kubernetesCRD",
    "native_lb_by_default": "nativeLBByDefault",
    "root_cas": "rootCAs",
    "report_node_internal_ips": "reportNodeInternalIPs",
    "strict_tls_options": "strictTLSOptions",
    "default_tls_resources_namespace": "defaultTLSResourcesNamespace",
    "trusted_ips": "trustedIPs",
    "allow_acme_by_pass": "allowACMEByPass",
    "global_": "global",
}


def option_name(attribute: str) -> str:
    """Traefik's spelling of an attribute; the unit suffix of durations is ours alone.

    >>> option_name("read_timeout_seconds")
    'readTimeout'
    """
    bare = attribute.removesuffix("_seconds")
    if bare in _IRREGULAR:
        return _IRREGULAR[bare]
    first, *others = bare.split("_")
    return first + "".join(word.capitalize() for word in others)


class Options(msgspec.Struct, rename=option_name, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every section: immutable, defaults are left out of the encoded form."""


# Seconds. Users write an integer (seconds) or Go's `1m30s`; the loader has parsed it before it gets here.
Duration = Annotated[float, msgspec.Meta(extra={"kind": "duration"})]

# A section that always exists here but that users may also switch on by its bare name (`--log`).
SWITCH: Final = msgspec.Meta(extra={"switch": True})


def says(text: str, *choices: str) -> msgspec.Meta:
    """The description of an option, and the values it is limited to (compared as the user writes them)."""
    return msgspec.Meta(description=text, extra={"choices": choices} if choices else None)
