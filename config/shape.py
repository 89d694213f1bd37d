"""Shape: the base of every struct that travels from the provider to the workers."""

from __future__ import annotations

import msgspec


class Shape(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """Base of all dynamic configuration: Traefik's camelCase, defaults left out, immutable once made.

    The default of a field is what Traefik leaves out when it prints the field, so a decoded object encodes to
    the text it came from. What Traefik fills in before it reads an object is another matter: those values are
    constants named `..._DEFAULTS` beside their struct, for translators to start from.
    """
