"""Whether a namespace has allowed a reference into it: ReferenceGrants, as the Gateway API defines them.

A grant is kept in the namespace of what it opens, so only who owns that can give it. It opens exactly what it
says: this kind in this namespace may refer to that kind, or to one object of it. Secrets and ConfigMaps are
looked for in the holder's own namespace alone, so no grant reaches them.
"""

from __future__ import annotations

from provider.resources.kinds import KINDS, REFERENCE_GRANT, ObjectKey
from provider.translate.view import View


def is_granted(view: View, referrer: ObjectKey, target: ObjectKey) -> bool:
    """Whether a grant in the target's namespace names the reference."""
    return any(
        any(
            (one.group, one.kind, one.namespace) == (_group(referrer), referrer.kind, referrer.namespace)
            for one in grant.spec.origins
        )
        and any(
            (one.group, one.kind) == (_group(target), target.kind) and one.name in ("", target.name)
            for one in grant.spec.targets
        )
        for grant in view.grants(target.namespace)
    )


def grant_advice(referrer: ObjectKey, target: ObjectKey) -> str:
    """The grant that would allow the reference, in words that can be copied."""
    origin = f"{{group: {_group(referrer)}, kind: {referrer.kind}, namespace: {referrer.namespace}}}"
    to = f"{{group: {_group(target) or chr(34) * 2}, kind: {target.kind}, name: {target.name}}}"
    return f"create a {REFERENCE_GRANT.name} in namespace {target.namespace} from {origin} to {to}"


def _group(key: ObjectKey) -> str:
    return KINDS[key.kind].group
