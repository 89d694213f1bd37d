"""Names that objects, or places of one object, define differently: one definition counts, the others are told.

Children of composed services are named after namespace, Service and port alone, so a `serversTransport` written in
one place may be lost to what another says of the same Service. Who wins does not depend on the order of events,
see `contested`; in the original it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from provider.findings import Report
from provider.resources.kinds import ObjectKey
from provider.translate.contested import Contested, Owner
from provider.translate.ownership import EXEMPT, Name
from provider.translate.view import View

REASON: Final = "Overridden"
_SHARED_ADVICE: Final = "write the same in both places, or set providers.kubernetesCRD.safeNaming"
_TAKEN_ADVICE: Final = "rename one of the two, or set providers.kubernetesCRD.safeNaming"


class Overridden:
    """Kept by the builder, which tells it what changed. `kinds` by the rank of their translators."""

    def __init__(self, sections: Mapping[str, Contested[Any]], kinds: Sequence[str]) -> None:
        self._sections = sections
        self._kinds = kinds
        self._children: dict[ObjectKey, Mapping[tuple[str, str], str]] = {}
        self._moved: set[Name] = set()
        self._outdone: dict[Name, set[ObjectKey]] = {}
        self._warnings: dict[ObjectKey, dict[Name, tuple[str, str, str]]] = {}
        self._told: set[ObjectKey] = set()

    def replace(self, key: ObjectKey, children: Mapping[tuple[str, str], str]) -> None:
        """Exchange where an object wrote its children: paths of fields by section and name."""
        old = self._children.pop(key, {})
        if children:
            self._children[key] = children
        self._moved |= {Name(*one) for one in old.keys() | children.keys() if old.get(one) != children.get(one)}

    def judge(self, changed: Mapping[str, Iterable[str]]) -> None:
        """Judge names, by section, whose claims have changed, and children that were written elsewhere before."""
        sections = changed.keys() - EXEMPT
        names = {Name(section, name) for section in sections for name in changed[section]}
        for name in names | self._moved:
            before, after = self._outdone.pop(name, set()), self._judged(name)
            if after:
                self._outdone[name] = set(after)
            for key in before | after.keys():
                self._set(key, name, after.get(key))
        self._moved.clear()

    def take_told(self) -> set[ObjectKey]:
        """Objects of which something else is said than at the last call."""
        told, self._told = self._told, set()
        return told

    def warnings(self, key: ObjectKey) -> Report:
        """What is said of an object, as findings."""
        report = Report(key)
        for _, (message, field, advice) in sorted(self._warnings.get(key, {}).items()):
            report.warning(REASON, message, field=field, advice=advice)
        return report

    def _judged(self, name: Name) -> dict[ObjectKey, tuple[str, str, str]]:
        """Message, field and advice for each whose definition does not count."""
        winner, claims = self._sections[name.section].seen_claims(name.name)
        if winner is None or len(claims) < 2:
            return {}
        value = claims[winner]
        return {
            self._key(owner): self._warning(name, self._key(owner), claim, self._key(winner), value)
            for owner, claim in claims.items()
            if claim != value
        }

    def _warning(
        self, name: Name, key: ObjectKey, claim: Any, winner: ObjectKey, value: Any
    ) -> tuple[str, str, str]:
        field = self._children.get(key, {}).get(name, "")
        options = differing(claim, value) if field else []
        if not options:
            message = f"{name.name} among {name.section} is also defined by {winner}, whose definition counts"
            return message, field or "metadata.name", _TAKEN_ADVICE
        return _lost(options, name.name, str(winner)), field, _SHARED_ADVICE

    def _set(self, key: ObjectKey, name: Name, warning: tuple[str, str, str] | None) -> None:
        them = self._warnings.setdefault(key, {})
        if them.get(name) != warning:
            self._told.add(key)
        if warning is not None:
            them[name] = warning
        else:
            them.pop(name, None)
        if not them:
            del self._warnings[key]

    def _key(self, owner: Owner) -> ObjectKey:
        return ObjectKey(self._kinds[owner.rank], owner.namespace, owner.name)


def note_child(view: View, report: Report, name: Name, earlier: Any, service: Any, field: str) -> None:
    """Note where a child is written; warn at an earlier place in the object that says something else of it."""
    before = view.children.get(name)
    view.children[name] = field
    if before is not None and earlier is not None and (options := differing(earlier, service)):
        report.warning(REASON, _lost(options, name.name, field), field=before, advice=_SHARED_ADVICE)


def differing(one: Any, other: Any) -> list[str]:
    """Options in which two services differ, as objects spell them; none unless both are load balancers."""
    ours, theirs = one.load_balancer, other.load_balancer
    if ours is None or theirs is None:
        return []
    found = _differing(ours, theirs)
    return found + (["middlewares"] if _middlewares(one) != _middlewares(other) else [])


def _differing(one: msgspec.Struct, other: msgspec.Struct) -> list[str]:
    names = zip(one.__struct_fields__, one.__struct_encode_fields__, strict=True)
    return [wire_name for name, wire_name in names if getattr(one, name) != getattr(other, name)]


def _middlewares(service: Any) -> list[str]:
    return getattr(service, "middlewares", [])


def _lost(options: list[str], name: str, where: str) -> str:
    return (
        f"{', '.join(options)}: what is written here has no effect, for {where} says otherwise of the same "
        f"Service and port, and both make one service, {name}"
    )
