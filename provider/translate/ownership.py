"""Names between namespaces: who claims one in vain, and who would be led to somebody else's object by one.

Judged over what objects claim, whether or not it is seen in the end, so one refusal never causes another and the
result does not depend on the order of events. Whatever is refused leaves a gap, never a stand-in: routers that
need it are disabled by the workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.translate.contested import Contested, Owner, Standing
from provider.translate.output import Output
from provider.translate.view import Reference

EXEMPT: Final = frozenset(("tls.certificates",))
"""Names of certificates are made of namespace and Secret, joined by what neither may contain."""

_ADVICE: Final = "rename one of the two: names are namespace and name, joined by a dash"


class Name(NamedTuple):
    section: str
    name: str


class Ownership:
    """Kept by the builder, which tells it what changed. `kinds` by the rank of their translators."""

    def __init__(self, sections: Mapping[str, Contested[Any]], kinds: Sequence[str]) -> None:
        self._sections = sections
        self._kinds = kinds
        self._referrers: dict[Name, dict[str, dict[ObjectKey, str]]] = {}
        self._wronged: dict[Name, dict[ObjectKey, Rejected]] = {}
        self._refusals: dict[ObjectKey, dict[Name, Rejected]] = {}

    def refer(self, key: ObjectKey, old: Mapping[Reference, str], new: Mapping[Reference, str]) -> set[Name]:
        """Exchange the references of one object; the names concerned."""
        gone = [one for one in old if one not in new]
        come = [one for one in new if one not in old or old[one] != new[one]]
        for one in gone:
            by_namespace = self._referrers[Name(one.section, one.name)]
            del by_namespace[one.namespace][key]
            if not by_namespace[one.namespace]:
                del by_namespace[one.namespace]
            if not by_namespace:
                del self._referrers[Name(one.section, one.name)]
        for one in come:
            by_namespace = self._referrers.setdefault(Name(one.section, one.name), {})
            by_namespace.setdefault(one.namespace, {})[key] = new[one]
        return {Name(one.section, one.name) for one in (*gone, *come)}

    def judge(self, names: Iterable[Name]) -> set[ObjectKey]:
        """Judge these names again; the objects of which something else is refused than before."""
        changed: set[ObjectKey] = set()
        for name in names:
            if name.section in EXEMPT:
                continue
            referrers, before = self._referrers.get(name), self._wronged.get(name, {})
            if not referrers and not before and not self._sections[name.section].is_disputed(name.name):
                continue
            after = self._judged(name, referrers or {})
            for key in before.keys() | after.keys():
                if key in before and key in after and before[key].said == after[key].said:
                    continue
                changed.add(key)
                self._set_refusal(key, name, after.get(key))
            if after:
                self._wronged[name] = after
            else:
                self._wronged.pop(name, None)
        return changed

    def refusals(self, key: ObjectKey) -> Report:
        """What is refused of an object, as findings."""
        report = Report(key)
        for _, refusal in sorted(self._refusals.get(key, {}).items()):
            report.rejected(refusal)
        return report

    def hidden(self, output: Output) -> set[Name]:
        """What may not be seen of an object: names claimed in vain, and whatever mentions a refused name."""
        refused = self._refusals.get(output.key)
        if not refused:
            return set()
        texts = {name.name for name in refused}
        return {
            Name(section, name)
            for section, objects in output.sections.items()
            if section not in EXEMPT
            for name, value in objects.items()
            if Name(section, name) in refused or _mentions(msgspec.to_builtins(value), texts)
        }

    def _set_refusal(self, key: ObjectKey, name: Name, refusal: Rejected | None) -> None:
        if refusal is not None:
            self._refusals.setdefault(key, {})[name] = refusal
            return
        del self._refusals[key][name]
        if not self._refusals[key]:
            del self._refusals[key]

    def _judged(self, name: Name, referrers: Mapping[str, Mapping[ObjectKey, str]]) -> dict[ObjectKey, Rejected]:
        standing = self._sections[name.section].standing(name.name)
        if standing is None:
            return {}
        winner = self._key(standing.first)
        wronged = {self._key(owner): _lost(name, winner, standing, owner) for owner in standing.losers}
        for namespace, them in referrers.items():
            if namespace != standing.home:
                for key, field in them.items():
                    wronged.setdefault(key, _misled(name, winner, namespace, field))
        return wronged

    def _key(self, owner: Owner) -> ObjectKey:
        return ObjectKey(self._kinds[owner.rank], owner.namespace, owner.name)


def _lost(name: Name, winner: ObjectKey, standing: Standing, loser: Owner) -> Rejected:
    if standing.home == standing.first.namespace and loser.created == standing.first.created:
        why = "which comes first"
    elif loser.created > standing.first.created:
        why = "which is older"
    else:
        why = f"which is in the namespace {standing.home} that it belongs to"
    return Rejected(
        "NameCollision",
        f"{name.name} among {name.section} is the name of {winner}, {why}; what needs it here is not served",
        field="metadata.name",
        advice=_ADVICE,
    )


def _misled(name: Name, winner: ObjectKey, namespace: str, field: str) -> Rejected:
    return Rejected(
        "NameCollision",
        f"{name.name} among {name.section} is meant to be of namespace {namespace} and is the name of {winner}; "
        "what needs it here is not served",
        field=field,
        advice=_ADVICE,
    )


def _mentions(plain: Any, texts: set[str]) -> bool:
    """Whether one of the texts is a value anywhere in plain data."""
    if isinstance(plain, str):
        return plain in texts
    if isinstance(plain, dict):
        return any(_mentions(value, texts) for value in plain.values())
    return isinstance(plain, list) and any(_mentions(value, texts) for value in plain)
