"""ReferenceGrant of the Gateway API: a namespace says which references from other namespaces it welcomes."""

from __future__ import annotations

import msgspec

from provider.resources.core import Metadata, Resource


class GrantFrom(Resource, frozen=True, kw_only=True):
    """Objects that may refer: those of a kind in a namespace."""

    group: str = ""
    kind: str = ""
    namespace: str = ""


class GrantTo(Resource, frozen=True, kw_only=True):
    """What they may refer to, in the grant's own namespace; without a name all objects of the kind."""

    group: str = ""
    kind: str = ""
    name: str = ""


class GrantSpec(Resource, frozen=True, kw_only=True):
    """Each of `origins` may refer to each of `targets`."""

    origins: list[GrantFrom] = msgspec.field(default_factory=list, name="from")
    targets: list[GrantTo] = msgspec.field(default_factory=list, name="to")


class ReferenceGrant(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    spec: GrantSpec = GrantSpec()
