"""A few Secrets and ConfigMaps, and one object translated among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from config.findings import Finding
from provider.findings import Report
from provider.options import TranslationOptions
from provider.resources import core
from provider.resources.kinds import CONFIG_MAP, SECRET, ObjectKey
from provider.store import Store
from provider.translate.holder import Holder
from provider.translate.output import Output
from provider.translate.view import View

NAMESPACE = "shop"


class Cluster:
    """Everything is in the namespace `shop` unless said otherwise."""

    def __init__(self) -> None:
        self.store = Store()

    def secret(self, name: str, namespace: str = NAMESPACE, **data: bytes | str) -> Cluster:
        """Keys of the data in Python's spelling: `tls_crt` is `tls.crt`."""
        encoded = {
            key.replace("_", "."): value.encode() if isinstance(value, str) else value
            for key, value in data.items()
        }
        metadata = core.Metadata(namespace=namespace, name=name)
        self.store.insert(SECRET, core.Secret(metadata=metadata, data=encoded))
        return self

    def config_map(self, name: str, namespace: str = NAMESPACE, **data: str) -> Cluster:
        metadata = core.Metadata(namespace=namespace, name=name)
        texts = {key.replace("_", "."): value for key, value in data.items()}
        self.store.insert(CONFIG_MAP, core.ConfigMap(metadata=metadata, data=texts))
        return self

    def holder(self, namespace: str = NAMESPACE) -> Holder:
        """For helpers that need one; its report is about an object named `one`."""
        report = Report(ObjectKey("IngressRoute", namespace, "one"))
        return Holder(View(self.store, TranslationOptions()), namespace, report)

    def translated(
        self,
        translate: Callable[[View, Any], Output],
        struct: type[core.Resource],
        spec: dict[str, Any],
        name: str = "one",
    ) -> Output:
        """The output for an object of the type `struct`."""
        resource = msgspec.convert({"metadata": {"namespace": NAMESPACE, "name": name}, "spec": spec}, struct)
        return translate(View(self.store, TranslationOptions()), resource)


def found(output: Output) -> list[tuple[str, str, str]]:
    """(severity, reason, field) of each finding."""
    return brief(output.report.findings)


def brief(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.severity, one.reason, one.field) for one in findings]


def only(output: Output, section: str) -> Any:
    """The one object of a section."""
    (value,) = output.of_section(section).values()
    return value
