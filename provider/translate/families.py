"""Parents and children among IngressRoutes: does each parent lead anywhere, to one place only, and each child hang
on a parent that is served?

A child names its parents, which do not know of it; so whether a route without services is in order is decided by
who refers to it. Upwards, a parent needs a child with a route that can be built; downwards, a child needs a
parent with a route that is served.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from config.findings import Finding
from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.translate.output import Output

_OF_ALL_ROUTES: Final = ("spec.tls.options", "spec.parentRefs", "spec.entryPoints")
"""Starts of fields; an error there disables every router of its object."""


class Member(NamedTuple):
    """One object's place in its family. `places`: fields of its routes by router; `broken`: routers that cannot
    be built, whatever its family is like; `leading`: those with a service.
    """

    parents: frozenset[ObjectKey] = frozenset()
    places: tuple[tuple[str, str], ...] = ()
    leading: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()

    @classmethod
    def of(cls, output: Output, broken: Collection[str]) -> Member:
        leading = frozenset(name for name in output.places if output.routers[name].service)
        return cls(frozenset(output.parents), tuple(output.places.items()), leading, frozenset(broken))


_STRANGER: Final = Member()
"""Also an object that is gone, or that gave nothing."""


def broken_routers(output: Output, findings: Iterable[Finding]) -> set[str]:
    """Those of the object's routers that an error stands in the way of."""
    fields = [one.field for one in findings if one.severity == "error"]
    if any(not field or field.startswith(_OF_ALL_ROUTES) for field in fields):
        return set(output.places)
    return {
        name
        for name, place in output.places.items()
        if any(field == place or field.startswith(f"{place}.") for field in fields)
    }


class Families:
    """Kept by the builder, which tells it what changed."""

    def __init__(self) -> None:
        self._members: dict[ObjectKey, Member] = {}
        self._children: dict[ObjectKey, set[ObjectKey]] = {}
        self._unsound: set[ObjectKey] = set()
        """Members none of whose routers can be built, their children considered."""
        self._unreached: set[ObjectKey] = set()
        """Members none of whose routers is served, their parents considered."""
        self._errors: dict[ObjectKey, list[Rejected]] = {}

    def replace(self, key: ObjectKey, member: Member) -> set[ObjectKey]:
        """Exchange an object's place; the objects to be judged again."""
        old = self._members.pop(key, _STRANGER)
        if member != _STRANGER:
            self._members[key] = member
        for gone in old.parents - member.parents:
            self._children[gone].discard(key)
            if not self._children[gone]:
                del self._children[gone]
        for parent in member.parents:
            self._children.setdefault(parent, set()).add(key)
        return {key} | (old.parents ^ member.parents) if old != member else set()

    def judge(self, keys: Collection[ObjectKey]) -> set[ObjectKey]:
        """Judge these objects and their families; those of which something else is said than before."""
        if not keys:
            return set()
        climbed = self._settle(keys, self._unsound, self._is_sound, lambda key: self._member(key).parents)
        fallen = self._settle(climbed, self._unreached, self._is_reached, lambda key: self._children.get(key, ()))
        told = {key for key in climbed | fallen if self._tell(key)}
        for key in climbed | fallen:
            if key not in self._members and key not in self._children:
                self._unsound.discard(key)
                self._unreached.discard(key)
        return told

    def errors(self, key: ObjectKey) -> Report:
        """What is said of an object, as findings."""
        report = Report(key)
        for error in self._errors.get(key, ()):
            report.rejected(error)
        return report

    def _settle(
        self,
        keys: Iterable[ObjectKey],
        down: set[ObjectKey],
        holds: Callable[[ObjectKey], bool],
        next_to: Callable[[ObjectKey], Iterable[ObjectKey]],
    ) -> set[ObjectKey]:
        """Keep `down`, the objects for which `holds` is false, as it spreads; all that were looked at."""
        pending = list(keys)
        seen = set(pending)
        while pending:
            key = pending.pop()
            if holds(key) == (key in down):
                down ^= {key}
                pending.extend(next_to(key))
                seen.update(next_to(key))
        return seen

    def _member(self, key: ObjectKey) -> Member:
        return self._members.get(key, _STRANGER)

    def _is_sound(self, key: ObjectKey) -> bool:
        return any(self._is_usable(key, name) for name, _ in self._member(key).places)

    def _is_usable(self, key: ObjectKey, router: str) -> bool:
        """Whether it can be built."""
        member = self._member(key)
        if router in member.broken:
            return False
        children = self._children.get(key)
        return any(one not in self._unsound for one in children) if children else router in member.leading

    def _is_reached(self, key: ObjectKey) -> bool:
        if key in self._unsound:
            return False
        parents = self._member(key).parents
        return not parents or any(parent not in self._unreached for parent in parents)

    def _tell(self, key: ObjectKey) -> bool:
        before, errors = self._errors.pop(key, []), list(self._found(key))
        if errors:
            self._errors[key] = errors
        return [one.said for one in before] != [one.said for one in errors]

    def _found(self, key: ObjectKey) -> Iterator[Rejected]:
        member, children = self._member(key), self._children.get(key, set())
        is_barren = bool(children) and all(child in self._unsound for child in children)
        for name, field in member.places:
            if not children and name not in member.leading:
                yield Rejected(
                    "NoService",
                    "the route has neither services nor a child IngressRoute; the router will be disabled",
                    field=f"{field}.services",
                    advice="name a service, or this object in parentRefs of another IngressRoute",
                )
            elif is_barren and name not in member.broken:
                yield Rejected(
                    "NoUsableChild",
                    "no route of the children can be used; the router will be disabled",
                    field=field,
                    advice=f"see the findings of {min(children)}",
                )
            if children and name in member.leading:
                yield Rejected(
                    "ParentHasService",
                    "the route has services although it is a parent; they get no request, the children do",
                    field=f"{field}.services",
                    advice=f"remove them, or parentRefs of {min(children)}",
                )
        if key not in self._unsound and member.parents and not self._is_reached(key):
            yield Rejected(
                "ParentNotUsable",
                "no route of a parent is served, so no request gets here",
                field="spec.parentRefs",
                advice=f"see the findings of {min(member.parents)}, and whether it is served at all",
            )
