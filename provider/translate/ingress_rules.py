"""Host and path of an Ingress -> the rule of a router. Pure text."""

from __future__ import annotations

from typing import Final

from provider.findings import Rejected
from provider.translate.ingress_annotations import annotation_field

PATH_PREFIX: Final = "PathPrefix"
PATH_MATCHERS: Final = ("Path", PATH_PREFIX, "PathRegexp")
_MATCHERS_OF_TYPE: Final = {"Exact": "Path", "Prefix": PATH_PREFIX}
_SHORT_ESCAPES: Final = {
    "\\": r"\\",
    '"': r"\"",
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
}


def rule_of(host: str, path: str, matcher: str, *, syntax: str = "v3", strict: bool = False) -> str:
    """The rule of one path; empty if it has neither host nor path.

    >>> rule_of("a.example", "/x", "Path")
    'Host("a.example") && Path("/x")'
    """
    parts = []
    if host:
        parts.append(_host(host, syntax))
    if path:
        parts.append(_strict_prefix(path) if strict and matcher == PATH_PREFIX else f"{matcher}({quoted(path)})")
    return " && ".join(parts)


def path_matcher(path_type: str, default: str) -> str:
    """Name of the matcher for a path type; `default` is for those that leave it to us. Raises Rejected."""
    matcher = _MATCHERS_OF_TYPE.get(path_type, default or PATH_PREFIX)
    if matcher not in PATH_MATCHERS:
        raise Rejected(
            "InvalidAnnotation",
            f"{matcher} is no path matcher",
            field=annotation_field("router.pathmatcher"),
            advice=f"write one of {', '.join(PATH_MATCHERS)}",
        )
    return matcher


def quoted(text: str) -> str:
    r"""A string of the rule language, with all that does not print escaped.

    >>> print(quoted('say "hi"\n'))
    "say \"hi\"\n"
    """
    return f'"{"".join(_escaped(char) for char in text)}"'


def _escaped(char: str) -> str:
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _host(host: str, syntax: str) -> str:
    if syntax == "v2" and host.startswith("*."):
        return f"HostRegexp({quoted('{subdomain:[a-zA-Z0-9-]+}' + host[1:])})"
    return f"Host({quoted(host)})"


def _strict_prefix(path: str) -> str:
    """Whole segments only: `/foo` is no prefix of `/foobar`. The root stays what it is."""
    if path == "/":
        return f"{PATH_PREFIX}({quoted(path)})"
    bare = path.removesuffix("/")
    return f"(Path({quoted(bare)}) || {PATH_PREFIX}({quoted(bare + '/')}))"
