"""What falls with what: an object that workers cannot build, and all that refer to it, however far.

Each object says in its output which name is its fate (a Middleware its middleware, a TraefikService its service),
why that cannot be built if so, and whom it refers to. From this follows who else cannot be built; every referrer
gets a finding that names the culprit. Judged anew only from objects whose part in this has changed, so endpoints
that come and go cost nothing here. What is missing altogether is told by the translators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.translate.output import Output
from provider.translate.ownership import Name
from provider.translate.view import Reference

_LONGEST_WHY: Final = 300
"""Characters of somebody else's reason that are repeated."""
_TITLES: Final = {
    "http.middlewares": ("MiddlewareNotUsable", "middleware"),
    "http.services": ("ServiceNotUsable", "service"),
    "http.serversTransports": ("ServersTransportNotUsable", "servers transport"),
    "tcp.middlewares": ("MiddlewareNotUsable", "middleware"),
    "tcp.serversTransports": ("ServersTransportNotUsable", "servers transport"),
    "tls.options": ("TLSOptionNotUsable", "TLS option"),
}
"""Reason and title by section. Parents are not among them: `families` judges those."""


class Part(NamedTuple):
    """What one object has to do with the usability of others."""

    fate: Name | None = None
    flaw: str = ""
    places: Mapping[Name, list[str]] = {}

    @classmethod
    def of(cls, output: Output, places: Mapping[Reference, list[str]]) -> Part:
        named: dict[Name, list[str]] = {}
        for one, fields in places.items():
            if one.section in _TITLES:
                named.setdefault(Name(one.section, one.name), []).extend(fields)
        return cls(Name(*output.fate) if output.fate else None, output.flaw, named)


_NONE: Final = Part()


class Usability:
    """Kept by the builder, which tells it what changed."""

    def __init__(self) -> None:
        self._parts: dict[ObjectKey, Part] = {}
        self._users: dict[Name, set[ObjectKey]] = {}
        self._fallen: dict[Name, dict[ObjectKey, str]] = {}
        self._errors: dict[ObjectKey, list[Rejected]] = {}
        self._left: set[Name] = set()
        """Names that some object stood for until now."""

    def replace(self, key: ObjectKey, part: Part) -> bool:
        """Exchange an object's part; whether it has changed, and `judge` must be called with the key."""
        old = self._parts.pop(key, _NONE)
        if part != _NONE:
            self._parts[key] = part
        if old == part:
            return False
        for name in old.places.keys() - part.places.keys():
            users = self._users[name]
            users.discard(key)
            if not users:
                del self._users[name]
        for name in part.places:
            self._users.setdefault(name, set()).add(key)
        if old.fate is not None:
            self._set(old.fate, key, "")
            self._left.add(old.fate)
        return True

    def judge(self, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
        """Judge these objects and all above them; those of which something else is said than before."""
        concerned = self._above(set(keys))
        for key in concerned:
            part = self._parts.get(key, _NONE)
            if part.fate is not None:
                self._set(part.fate, key, part.flaw)
        pending = set(concerned)
        while pending:
            key = pending.pop()
            fate = self.fate_of(key)
            if fate is not None and self._falls(fate, key):
                pending |= {user for user in self._users.get(fate, ()) if not self._is_fallen(user)}
        return {key for key in concerned if self._tell(key)}

    def errors(self, key: ObjectKey) -> Report:
        """What is said of an object, as findings."""
        report = Report(key)
        for error in self._errors.get(key, ()):
            report.rejected(error)
        return report

    def fate_of(self, key: ObjectKey) -> Name | None:
        """The name that the object stands for."""
        return self._parts.get(key, _NONE).fate

    def _falls(self, fate: Name, key: ObjectKey) -> bool:
        """Whether the object cannot be built, of itself or for want of another."""
        if not self._is_fallen(key):
            culprit = next((name for name in self._parts[key].places if name in self._fallen), None)
            if culprit is None:
                return False
            self._set(fate, key, f"it needs {culprit.name}: {self._why(culprit)}")
        return True

    def _is_fallen(self, key: ObjectKey) -> bool:
        fate = self.fate_of(key)
        return fate is not None and key in self._fallen.get(fate, {})

    def _above(self, keys: set[ObjectKey]) -> set[ObjectKey]:
        pending = [*keys, *(user for name in self._left for user in self._users.get(name, ()))]
        self._left.clear()
        found = set(pending)
        while pending:
            fate = self.fate_of(pending.pop())
            for user in self._users.get(fate, ()) if fate is not None else ():
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
        return min(self._fallen[name].items())[1]

    def _tell(self, key: ObjectKey) -> bool:
        part = self._parts.get(key, _NONE)
        errors = [
            self._error(key, name, field)
            for name, fields in part.places.items()
            if name in self._fallen and not part.flaw  # who is at fault himself need not hear of others
            for field in fields
        ]
        before = self._errors.pop(key, [])
        if errors:
            self._errors[key] = errors
        return [(one.args, one.field) for one in before] != [(one.args, one.field) for one in errors]

    def _error(self, key: ObjectKey, name: Name, field: str) -> Rejected:
        owner = min(self._fallen[name])
        reason, title = _TITLES[name.section]
        # what is wrong with an object of another namespace is for its own people to read
        why = f": {self._why(name)}" if owner.namespace == key.namespace else ""
        return Rejected(
            reason,
            f"{title} {owner.namespace}/{owner.name} cannot be used, so what needs it here is disabled{why}",
            field=field,
            advice=f"see the findings of {owner}",
        )
