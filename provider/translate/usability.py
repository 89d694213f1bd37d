"""What falls with what: an object that workers cannot build, and all that refer to it, however far.

Each object says in its output which name is its fate (a Middleware its middleware, a TraefikService its service),
why that cannot be built if so, and whom it refers to. From this follows who else cannot be built; every referrer
gets a finding that names the culprit. Names are those of the workers, with their provider, so this holds between
providers as well: an Ingress falls with the Middleware in its annotation. What is missing is told by the
translators, but for what is written with its provider (`name@provider`): whether anybody provides that is
judged here. Judged anew only from objects whose part in this has changed, so endpoints that come and go cost
nothing here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from config.names import PROVIDER_INTERNAL, provider_of
from provider.environment import Environment
from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.translate.ownership import Name
from provider.translate.parts import NO_PART, TITLES, TLS_OPTIONS, Part, qualified
from provider.translate.tls_defaults import DEFAULT

_LONGEST_WHY: Final = 300
"""Characters of somebody else's reason that are repeated."""


class Usability:
    """Kept by the builders of all providers, which tell it what changed.

    `environment` None: nothing is said about names that carry their provider.
    """

    def __init__(self, environment: Environment | None = None) -> None:
        self._environment = environment
        self._sections: dict[str, Mapping[str, Any]] = {}
        self._parts: dict[ObjectKey, Part] = {}
        self._users: dict[Name, set[ObjectKey]] = {}
        self._watchers: dict[Name, set[ObjectKey]] = {}
        self._fallen: dict[Name, dict[ObjectKey, str]] = {}
        self._absent: set[Name] = set()
        self._errors: dict[ObjectKey, list[Rejected]] = {}
        self._left: set[Name] = set()
        """Names that some object stood for until now."""
        self._doubtful: set[Name] = set()
        """Names of which nobody may know yet whether they are there."""
        self._told: set[ObjectKey] = set()

    def join(self, provider: str, sections: Mapping[str, Any]) -> None:
        """Have the names in these sections looked up for `name@provider`."""
        self._sections[provider] = sections

    def replace(self, key: ObjectKey, part: Part) -> bool:
        """Exchange an object's part; whether it has changed, and `judge` must be called with the key."""
        old = self._parts.pop(key, NO_PART)
        if part != NO_PART:
            self._parts[key] = part
        if old == part:
            return False
        _exchange(self._users, key, old.uses, part.uses)
        if self._environment is not None:
            before, watched = old.unnoticed, part.unnoticed
            _exchange(self._watchers, key, before, watched)
            self._doubtful |= before | watched
        for fate in old.fates:
            self._set(fate, key, "")
            self._left.add(fate)
        return True

    def notice(self, provider: str, changed: Mapping[str, Iterable[str]]) -> None:
        """Names of this provider, by section, that may have come or gone."""
        if not self._watchers:
            return
        for section in changed.keys() & TITLES.keys():
            names = {qualified(section, name, provider) for name in changed[section]}
            self._doubtful |= names & self._watchers.keys()

    def judge(self, keys: Collection[ObjectKey]) -> None:
        """Judge these objects, all above them, and all that names which came or went concern."""
        if not (keys or self._doubtful or self._left):
            return
        concerned = self._above(set(keys) | self._turned())
        pending: set[ObjectKey] = set()
        for key in concerned:
            for fate, (flaw, _) in self._parts.get(key, NO_PART).fates.items():
                self._set(fate, key, flaw)
                pending.add(key)
        while pending:
            key = pending.pop()
            for fate in self._newly_fallen(key):
                pending |= {user for user in self._users.get(fate, ()) if user in concerned}
        self._told |= {key for key in concerned if self._tell(key)}

    def take_told(self, kinds: Mapping[str, Any]) -> set[ObjectKey]:
        """Objects of these kinds of which something else is said than at the last call."""
        taken = {key for key in self._told if key.kind in kinds}
        self._told -= taken
        return taken

    def errors(self, key: ObjectKey) -> Report:
        """What is said of an object, as findings."""
        report = Report(key)
        for error in self._errors.get(key, ()):
            report.rejected(error)
        return report

    def _turned(self) -> set[ObjectKey]:
        """Look at doubtful names; the objects that one of them means something else to than before."""
        turned: set[ObjectKey] = set()
        for name in self._doubtful:
            is_absent = name in self._watchers and self._is_absent(name)
            if is_absent != (name in self._absent):
                self._absent ^= {name}
                turned |= self._watchers.get(name, set())
        self._doubtful.clear()
        return turned

    def _is_absent(self, name: Name) -> bool:
        """Whether nobody provides it."""
        assert self._environment is not None
        provider = provider_of(name.name)
        bare = name.name.removesuffix(f"@{provider}")
        if provider == PROVIDER_INTERNAL:
            return (name.section, name.name) not in self._environment.internal
        if not provider:
            return False  # the default TLS option, which is there without an object
        sections = self._sections.get(provider)
        if sections is None or (name.section, bare) == (TLS_OPTIONS, DEFAULT):
            return True
        return bare not in sections[name.section]

    def _newly_fallen(self, key: ObjectKey) -> Iterator[Name]:
        """Have the object's fates fall that cannot be built for want of something; those that do."""
        for fate, (flaw, needs) in self._parts.get(key, NO_PART).fates.items():
            if flaw or key in self._fallen.get(fate, {}):
                continue
            culprit = next((name for name in sorted(needs) if self._is_down(name)), None)
            if culprit is not None:
                self._set(fate, key, f"it needs {culprit.name}: {self._why(culprit)}")
                yield fate

    def _is_down(self, name: Name) -> bool:
        return name in self._fallen or name in self._absent

    def _above(self, keys: set[ObjectKey]) -> set[ObjectKey]:
        pending = [*keys, *(user for name in self._left for user in self._users.get(name, ()))]
        self._left.clear()
        found = set(pending)
        while pending:
            for fate in self._parts.get(pending.pop(), NO_PART).fates:
                for user in self._users.get(fate, ()):
                    if user not in found:
                        found.add(user)
                        pending.append(user)
        return found

    def _set(self, name: Name, key: ObjectKey, why: str) -> None:
        if why:
            self._fallen.setdefault(name, {})[key] = why[:_LONGEST_WHY]
        elif name in self._fallen:
            self._fallen[name].pop(key, None)
            if not self._fallen[name]:
                del self._fallen[name]

    def _why(self, name: Name) -> str:
        if name in self._fallen:
            return min(self._fallen[name].items())[1]
        return "nothing provides it"

    def _tell(self, key: ObjectKey) -> bool:
        part = self._parts.get(key, NO_PART)
        errors = [
            self._error(key, name, field)
            for name, fields in part.places.items()
            if not part.has_flaw  # who is at fault himself need not hear of others
            if name in self._fallen or (name in part.written and name in self._absent)
            for field in fields
        ]
        before = self._errors.pop(key, [])
        if errors:
            self._errors[key] = errors
        return [one.said for one in before] != [one.said for one in errors]

    def _error(self, key: ObjectKey, name: Name, field: str) -> Rejected:
        reason, title = TITLES[name.section]
        if name not in self._fallen:
            return self._missing(name, field)
        owner = min(self._fallen[name])
        # what is wrong with an object of another namespace is for its own people to read
        why = f": {self._why(name)}" if owner.namespace == key.namespace else ""
        return Rejected(
            f"{reason}NotUsable",
            f"{title} {owner.namespace}/{owner.name} cannot be used, so what needs it here is disabled{why}",
            field=field,
            advice=f"see the findings of {owner}",
        )

    def _missing(self, name: Name, field: str) -> Rejected:
        reason, title = TITLES[name.section]
        provider = provider_of(name.name)
        known = ", ".join(sorted(self._sections))
        if provider == PROVIDER_INTERNAL:
            why, advice = (
                "Pointsman provides none, or it is switched off",
                "switch it on in the static configuration",
            )
        elif provider not in self._sections:
            why, advice = f"there is no provider {provider}", f"name one of {known}"
        else:
            why = f"no object that {provider} reads makes it"
            advice = "create it or correct the name"
        return Rejected(
            f"{reason}NotFound",
            f"{title} {name.name} does not exist, so what needs it here is disabled: {why}",
            field=field,
            advice=advice,
        )


def _exchange(index: dict[Name, set[ObjectKey]], key: ObjectKey, old: set[Name], new: set[Name]) -> None:
    for name in old - new:
        index[name].discard(key)
        if not index[name]:
            del index[name]
    for name in new:
        index.setdefault(name, set()).add(key)
