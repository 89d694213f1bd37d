"""The table of every field of every kind: `python -m tests.fields --write` puts it into docs/fields.md.

Fields, types and sentences come from the structs and words that the definitions are made of; which of them do
nothing is said here; and the cases that show a field are found by looking for it in the case files.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from provider.resources.kinds import KINDS, Kind
from provider.resources.schema import Schema, definition

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "fields.md"
BEGIN: Final = "<!-- fields: begin, written by `python -m tests.fields --write` -->"
END: Final = "<!-- fields: end -->"
MOST_CASES: Final = 3
"""Named for a field, of more that there may be."""

_NO_RESOLVER: Final = "no effect, with a warning: certificates are not ordered by this version"
_NO_STORE: Final = "no effect, with a warning: only the TLSStore `default` is ever asked"
_NO_TRACING: Final = "no effect: nothing is traced by this version"
_NO_SPIFFE: Final = "refused: services that name the transport are disabled"
WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "IngressRoute spec.tls.store": _NO_STORE,
    "IngressRouteTCP spec.tls.store": _NO_STORE,
    "IngressRoute spec.tls.certResolver": _NO_RESOLVER,
    "IngressRouteTCP spec.tls.certResolver": _NO_RESOLVER,
    "TLSStore spec.defaultGeneratedCert": _NO_RESOLVER,
    "TLSOption spec.preferServerCipherSuites": "no effect, as in the original",
    "IngressRoute spec.routes.observability.tracing": _NO_TRACING,
    "IngressRoute spec.routes.observability.traceVerbosity": _NO_TRACING,
    "Middleware spec.plugin": "for plugins in Python, see [plugins.md](plugins.md)",
    "ServersTransport spec.spiffe": _NO_SPIFFE,
    "ServersTransportTCP spec.tls.spiffe": _NO_SPIFFE,
    "Middleware spec.forwardAuth.tls.caOptional": "deprecated, no effect, as in the original",
}
"""By kind and path, what is to be said of fields that do less than in the original, or nothing. The same holds for
what is below them; everything else is supported.
"""


class Field(NamedTuple):
    """`path` from the object's root; lists have `[]` at their end."""

    kind: str
    path: str
    type: str
    text: str


def fields() -> Iterator[Field]:
    """Of all custom kinds, in the order of the definitions."""
    for kind in KINDS.values():
        if kind.is_custom:
            yield from _below(kind.name, _spec(kind), "spec")


def _spec(kind: Kind) -> Schema:
    version = definition(kind)["spec"]["versions"][0]
    spec: Schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def _below(kind: str, schema: Schema, path: str) -> Iterator[Field]:
    for name, member in schema.get("properties", {}).items():
        yield from _of_field(kind, member, f"{path}.{name}", str(member.get("description", "")))


def _of_field(kind: str, schema: Schema, path: str, text: str) -> Iterator[Field]:
    yield Field(kind, path, _type_of(schema), text)
    inner = schema.get("items", schema)
    yield from _below(kind, inner, f"{path}[]" if "items" in schema else path)


def _type_of(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "items" in schema:
        return f"list of {_type_of(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type_of(schema['additionalProperties'])}"
    return str(schema.get("type", "any"))


def support_of(field: Field) -> str:
    """`yes`, or why not."""
    name = f"{field.kind} {field.path.replace('[]', '')}"
    for known, reason in WITHOUT_EFFECT.items():
        if name == known or name.startswith(f"{known}."):
            return reason
    return "yes"


@cache
def cases() -> Mapping[tuple[str, str], list[str]]:
    """Names of the golden and differential cases by kind and path of each field that they hold."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, kind, spec in _specs():
        for path in sorted(set(_paths(spec, "spec"))):
            known = found.setdefault((kind, path), [])
            if name not in known:
                known.append(name)
    return found


def _specs() -> Iterator[tuple[str, str, Any]]:
    """(case, kind, spec) of every custom object of the case files."""
    for path in sorted((ROOT / "tests" / "golden").glob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        for one in (content.get("manifests") or []) if isinstance(content, dict) else []:
            yield f"golden/{path.stem}", str(one.get("kind")), one.get("spec")
    for path in sorted((ROOT / "tests" / "differential" / "cases").glob("*.yaml")):
        manifests = yaml.safe_load(path.read_text())["manifests"]
        for one in yaml.safe_load_all(re.sub(r"PORT_[A-Z]+", "1", manifests)):
            if one:
                yield f"differential/{path.stem}", str(one.get("kind")), one.get("spec")
    for group in yaml.safe_load((ROOT / "tests" / "differential" / "routes.yaml").read_text()):
        for case, kinds in group["cases"].items():
            for kind, specs in kinds.items():
                yield from ((f"differential/routes:{case}", kind, spec) for spec in specs.values())
    for name in ("shapes", "middlewares", "tls"):
        for kind, specs in yaml.safe_load((ROOT / "tests" / "differential" / f"{name}.yaml").read_text()).items():
            for spec in specs.values():
                yield f"differential/{name}", kind, spec


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield f"{path}.{name}"
            yield from _paths(member, f"{path}.{name}")
    elif isinstance(value, list):
        for member in value:
            yield from _paths(member, f"{path}[]")


def table() -> str:
    """One table for each kind."""
    lines: list[str] = []
    kind = ""
    for field in fields():
        if field.kind != kind:
            kind = field.kind
            lines += ["", f"## {kind}", "", "| field | type | supported | shown by |", "|---|---|---|---|"]
        lines.append(f"| `{field.path}` | {field.type} | {support_of(field)} | {_shown(field)} |")
    return "\n".join([*lines, ""])


def _shown(field: Field) -> str:
    return ", ".join(cases().get((field.kind, field.path), [])[:MOST_CASES])


def page(text: str) -> str:
    """The page with its table exchanged. Raises ValueError if the marks are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for the table")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/fields.md instead of printing the table")
    if parser.parse_args(arguments).write:
        PAGE.write_text(page(PAGE.read_text()))
    else:
        print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
