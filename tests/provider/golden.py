"""Golden cases: manifests, and the configuration and findings they give, in one file a person can read.

    about:          what the case shows
    behaviours:     numbered behaviours it proves
    provider:       whose configuration it is, kubernetescrd if not said
    options:        options of providers.kubernetesCRD or providers.kubernetesIngress, by Traefik's names
    uses:           names of objects in base.yaml
    manifests:      further objects
    configuration:  the expected configuration
    findings:       the expected findings, in order

`python -m tests.provider.golden` writes the last two anew into every file; read the diff before keeping it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from config.dynamic import Configuration
from config.findings import Finding
from config.names import PROVIDER_CRD
from config.static_load import from_mapping
from provider.kube.selectors import parse_selector
from provider.manifest_objects import Gathering, Scope
from provider.options import TranslationOptions
from provider.resources.kinds import KINDS
from provider.sources import translation_options
from provider.store import Store
from provider.translate.builder import BuildResult, build

DIRECTORY = Path(__file__).parents[1] / "golden"
BASE = DIRECTORY / "base.yaml"
EXPECTED = ("configuration", "findings")


@dataclass
class Case:
    path: Path
    content: dict[str, Any]

    @property
    def behaviours(self) -> list[str]:
        return list(self.content.get("behaviours", []))

    @property
    def objects(self) -> list[dict[str, Any]]:
        base: dict[str, list[dict[str, Any]]] = yaml.safe_load(BASE.read_text())
        used = [one for name in self.content.get("uses", []) for one in base[name]]
        return used + list(self.content.get("manifests", []))

    @property
    def configuration(self) -> Configuration:
        return msgspec.convert(self.content.get("configuration") or {}, Configuration)

    @property
    def findings(self) -> list[Finding]:
        return msgspec.convert(self.content.get("findings") or [], list[Finding])

    def build(self) -> BuildResult:
        provider, given = self.content.get("provider", PROVIDER_CRD), self.content.get("options") or {}
        section = "kubernetesCRD" if provider == PROVIDER_CRD else "kubernetesIngress"
        static = from_mapping({"providers": {section: given}})
        options = translation_options(static)[provider]
        settings = static.providers.kubernetes_crd or static.providers.kubernetes_ingress
        assert settings is not None
        return build(store_of(self.objects, settings.label_selector, options), options, provider)


def store_of(
    documents: list[dict[str, Any]], selector: str = "", options: TranslationOptions | None = None
) -> Store:
    """A store as the API server would fill it: namespaces and defaults filled in, selection applied."""
    scope = Scope(parse_selector(selector), (options or TranslationOptions()).watches)
    gathering = Gathering(*scope, ingress=scope)
    for document in documents:
        gathering.add("case.yaml", document)
    store = Store()
    for name, objects in gathering.result().objects.items():
        store.replace(KINDS[name], "", objects)
    return store


def cases() -> list[Case]:
    paths = sorted(path for path in DIRECTORY.glob("*.yaml") if path != BASE)
    return [Case(path, yaml.safe_load(path.read_text())) for path in paths]


def render(result: BuildResult) -> str:
    """The expected part of a file."""
    expected = {
        "configuration": msgspec.to_builtins(result.configuration),
        "findings": msgspec.to_builtins(result.findings),
    }
    return yaml.dump(
        expected, Dumper=_Dumper, sort_keys=False, width=110, default_flow_style=None, allow_unicode=True
    )


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines (certificates) as such."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def rewrite() -> None:
    for case in cases():
        lines = case.path.read_text().splitlines(keepends=True)
        starts = [i for i, line in enumerate(lines) if line.startswith(tuple(f"{name}:" for name in EXPECTED))]
        kept = "".join(lines[: starts[0]] if starts else lines).rstrip("\n")
        case.path.write_text(f"{kept}\n\n{render(case.build())}")


if __name__ == "__main__":
    rewrite()
