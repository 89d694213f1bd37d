"""What was wrong with an object, as data: shown by commands, the API, logs and conditions alike."""

from __future__ import annotations

from typing import Literal

from config.shape import Shape

Severity = Literal["error", "warning"]


class Finding(Shape, frozen=True, kw_only=True):
    """One sentence about one object.

    `reason` is CamelCase and stable (scripts match on it), `field` the path inside the object
    (`spec.routes[0].services[1].port`), `advice` what the reader can change.
    """

    kind: str
    namespace: str
    name: str
    severity: Severity
    reason: str
    message: str
    field: str = ""
    advice: str = ""

    def __str__(self) -> str:
        where = f" {self.field}" if self.field else ""
        advice = f" ({self.advice})" if self.advice else ""
        return f"{self.kind} {self.namespace}/{self.name}{where}: {self.message}{advice}"
