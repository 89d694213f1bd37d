"""Parents and children among IngressRoutes, seen from the parent: does it lead anywhere, and only to one place?

A child names its parents, which do not know of it; so whether a route without services is in order is decided by
who refers to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.translate.output import Output


class Families:
    """Kept by the builder, which tells it what changed."""

    def __init__(self) -> None:
        self._parents: dict[ObjectKey, set[ObjectKey]] = {}
        self._children: dict[ObjectKey, dict[ObjectKey, bool]] = {}
        self._errors: dict[ObjectKey, list[Rejected]] = {}

    def replace(self, output: Output) -> set[ObjectKey]:
        """Exchange an object's place; the objects to be judged again, itself included."""
        key, parents, is_sound = output.key, output.parents, output.is_sound
        touched = {key}
        for gone in self._parents.pop(key, set()) - parents:
            children = self._children[gone]
            del children[key]
            if not children:
                del self._children[gone]
            touched.add(gone)
        if parents:
            self._parents[key] = parents
        for parent in parents:
            children = self._children.setdefault(parent, {})
            if children.get(key) != is_sound:
                children[key] = is_sound
                touched.add(parent)
        return touched

    def judge(self, output: Output) -> bool:
        """Judge one object; whether something else is said of it than before."""
        key = output.key
        before, errors = self._errors.pop(key, []), list(self._found(output))
        if errors:
            self._errors[key] = errors
        return [(one.reason, one.field) for one in before] != [(one.reason, one.field) for one in errors]

    def errors(self, key: ObjectKey) -> Report:
        """What is said of an object, as findings."""
        report = Report(key)
        for error in self._errors.get(key, ()):
            report.rejected(error)
        return report

    def _found(self, output: Output) -> Iterator[Rejected]:
        children = self._children.get(output.key)
        for name, field in output.places.items():
            router = output.routers[name]
            if not children and not router.service:
                yield Rejected(
                    "NoService",
                    "the route has neither services nor a child IngressRoute; the router will be disabled",
                    field=f"{field}.services",
                    advice="name a service, or this object in parentRefs of another IngressRoute",
                )
            elif children and not any(children.values()) and output.is_sound:
                yield Rejected(
                    "NoUsableChild",
                    "no route of the children can be used; the router will be disabled",
                    field=field,
                    advice=f"see the findings of {min(children)}",
                )
            if children and router.service:
                yield Rejected(
                    "ParentHasService",
                    "the route has services although it is a parent; they get no request, the children do",
                    field=f"{field}.services",
                    advice=f"remove them, or parentRefs of {min(children)}",
                )
