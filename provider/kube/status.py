"""`status.conditions` of custom resources: is the object served as written, and if not, why.

`condition_of` decides, `StatusWriter` writes: what says the same already is left alone, a write that somebody
else has overtaken is tried again with what they wrote, and a kind without a status subresource (Traefik's own
definitions have none) or without our right to it is left in peace for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from config.findings import Finding
from provider.kube.api import Api
from provider.kube.errors import ApiError, Conflict, Forbidden, ObjectMissing, Refused
from provider.kube.seen import Condition, Seen
from provider.resources.kinds import KINDS, ObjectKey

log = logging.getLogger(__name__)

ACCEPTED: Final = "Accepted"
LONGEST_MESSAGE: Final = 2000
SILENT_SECONDS: Final = 600.0
"""How long a kind whose status cannot be written is left alone."""


class Verdict(NamedTuple):
    """What translation made of one object. `generation` 0: not known (the object could not be read)."""

    generation: int
    findings: tuple[Finding, ...] = ()


def condition_of(verdict: Verdict, seen: Seen, now: datetime) -> Condition:
    """The Accepted condition; the time of the last transition is kept while the status stays.

    False as soon as one part of the object is not served: the message names the field.
    """
    errors = [one for one in verdict.findings if one.severity == "error"]
    before = seen.condition(ACCEPTED)
    status = "False" if errors else "True"
    is_same = before is not None and before.status == status
    return Condition(
        type=ACCEPTED,
        status=status,
        reason=errors[0].reason if errors else ACCEPTED,
        message=_message(errors or list(verdict.findings), "" if errors else "served as written"),
        observed_generation=verdict.generation or seen.metadata.generation,
        last_transition_time=before.last_transition_time if before and is_same else f"{now:%Y-%m-%dT%H:%M:%SZ}",
    )


def _message(findings: list[Finding], start: str) -> str:
    sentences = [start] if start else []
    for finding in findings:
        where = f"{finding.field}: " if finding.field else ""
        advice = f" ({finding.advice})" if finding.advice else ""
        kind = "warning: " if start else ""
        sentences.append(f"{kind}{where}{finding.message}{advice}")
    text = "; ".join(sentences)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 4]} ..."


class StatusWriter:
    """Writes conditions while `may_write` says so. One thread; `clock` is monotonic seconds."""

    def __init__(
        self,
        api: Api,
        may_write: Callable[[], bool],
        clock: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._may_write = may_write
        self._clock = clock
        self._wall = wall
        self._silent_until: dict[str, float] = {}
        self._told: set[str] = set()

    def wants(self, kind: str) -> bool:
        """Whether the status of this kind is ours to write, as far as we know."""
        return KINDS[kind].is_custom and kind not in self._silent_until

    @property
    def is_silenced(self) -> bool:
        """Whether some kind is left alone at present."""
        return bool(self._silent_until)

    def kinds_to_try_again(self) -> set[str]:
        """Kinds that have been left alone for long enough; each is named once."""
        now = self._clock()
        over = {kind for kind, until in self._silent_until.items() if now >= until}
        for kind in over:
            del self._silent_until[kind]
        return over

    def write(self, verdicts: Mapping[ObjectKey, Verdict], seen: Mapping[ObjectKey, Seen]) -> set[ObjectKey]:
        """Write what differs; the keys to try again with a fresh look. Raises ApiError for all at once."""
        again: set[ObjectKey] = set()
        for key, verdict in verdicts.items():
            if key not in seen or not self.wants(key.kind):
                continue
            if not self._may_write():
                return again
            try:
                self._write(key, verdict, seen[key])
            except Conflict:
                again.add(key)
            except Forbidden as error:
                self._silence(key.kind, error)
            except ObjectMissing as error:
                if self._exists(key):
                    self._silence(key.kind, error)
            except Refused as error:
                log.debug("%s", error)
        return again

    def _write(self, key: ObjectKey, verdict: Verdict, seen: Seen) -> None:
        wanted = condition_of(verdict, seen, self._wall())
        if wanted == seen.condition(ACCEPTED):
            return
        body: dict[str, Any] = {
            "metadata": {"resourceVersion": seen.metadata.resource_version},
            "status": {"conditions": seen.conditions_with(wanted)},
        }
        self._api.patch(KINDS[key.kind], key.namespace, key.name, body, "status")

    def _exists(self, key: ObjectKey) -> bool:
        """Tell an object that has just gone from a missing subresource: both are 404."""
        try:
            self._api.read(KINDS[key.kind], key.namespace, key.name)
        except ObjectMissing:
            return False
        return True

    def _silence(self, kind: str, error: ApiError) -> None:
        self._silent_until[kind] = self._clock() + SILENT_SECONDS
        if kind not in self._told:
            self._told.add(kind)
            missing = isinstance(error, ObjectMissing)
            advice = f"apply our definition of {kind}" if missing else error.advice
            log.info("no status is written to %s objects: %s", kind, error, extra={"advice": advice})
