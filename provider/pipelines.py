"""The providers' builders over one store, and the sections that hold what all of them make.

Names of different providers never meet, since each carries its provider's; only a certificate may come from two,
and then the first provider's counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from config.findings import Finding
from provider.options import TranslationOptions
from provider.resources.kinds import ObjectKey
from provider.sections import Sections
from provider.store import Store
from provider.translate.builder import Builder
from provider.translate.readers import Readers
from provider.translate.usability import Usability


class Pipelines:
    """`options` by the name of the provider, in order of precedence. Owned by one thread."""

    def __init__(self, options: Mapping[str, TranslationOptions], readers: Readers | None = None) -> None:
        self.readers = readers or Readers()
        self.sections = Sections()
        environment = next((one.environment for one in options.values()), None)
        usability = Usability(environment)
        self.builders = [Builder(one, self.readers, provider, usability) for provider, one in options.items()]

    def update(self, store: Store, changed: Iterable[ObjectKey]) -> bool:
        """Translate what the changed keys (as Store.take_changed reports them) touch; whether findings changed."""
        keys, any_finding = list(changed), False
        for builder in self.builders:
            changes = builder.update(store, keys)
            self.sections.update(builder, changes)
            any_finding = any_finding or bool(changes.findings)
        return any([any_finding, *(builder.retell().findings for builder in self.builders)])

    @property
    def missing(self) -> set[ObjectKey]:
        """What translations wait for."""
        return {key for builder in self.builders for keys in builder.pending.values() for key in keys}

    def findings(self) -> list[Finding]:
        """Of all objects, by kind, namespace and name."""
        found = sorted(item for builder in self.builders for item in builder.findings.items())
        return [one for _, findings in found for one in findings]
