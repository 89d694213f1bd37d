"""What counts as the same.

Left out of the comparison, each for a reason that docs/compatibility.md gives: the `Date` of an answer, the
order and letter case of header names, the text of rule errors (ours names a column and what to change), the
gzip that Traefik asks the server for on its own account, the bytes of compressed bodies, the hashes of passwords
(ours shows none), and the routers and services that are ours alone.
"""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import brotli
import zstandard

from tests.differential.wire import Answer

_OURS_ALONE = ("ready@internal",)
_RULE_ERROR = "error while parsing rule"
_INVALID_RULE = "invalid rule "
_TCP_RULE_ERRORS = ("invalid rule: ", "error while adding rule ")
_NO_TLS = "has HostSNI matcher, but no TLS on router"
_BROKEN_OPTION = "building router handler: building TLS config: "
_BROKEN_TCP_OPTION = "building TLS config: "
_SPELLED_BY_US = "is not served by this version of Pointsman"


def objects_of(rawdata: dict[str, Any], namespace: str) -> dict[str, dict[str, Any]]:
    """Section to name to object, for the objects of one namespace, made comparable.

    Copies of routers for an entry point have its name before theirs.
    """
    is_mine = re.compile(rf"((web|other)-)?(conflicted-)?((web|other)-)?{re.escape(namespace)}[-_]").match
    result: dict[str, dict[str, Any]] = {}
    for section, objects in rawdata.items():
        mine = {
            name: comparable(value) for name, value in objects.items() if is_mine(name) and name not in _OURS_ALONE
        }
        if mine:
            result[section] = mine
    return result


def comparable(value: dict[str, Any]) -> dict[str, Any]:
    """One object of rawdata with errors reduced to what both can agree on."""
    result = dict(value)
    if "error" in result:
        result["error"] = sorted({_reduced(one) for one in result["error"]})
    if "chain" in result:  # of a chain in use the original shows the members' qualified names
        members = result["chain"].get("middlewares") or []
        result["chain"] = {"middlewares": [one.removesuffix("@kubernetescrd") for one in members]}
    for name in ("usedBy", "using"):  # the original has the entry points of UDP routers in any order
        if name in result:
            result[name] = sorted(result[name])
    for kind in ("basicAuth", "digestAuth"):
        if kind in result:  # ours shows no hashes to whoever may read the API
            result[kind] = {**result[kind], "users": len(result[kind]["users"])}
    return result


def _reduced(error: str) -> str:
    if error.startswith(_TCP_RULE_ERRORS) and not error.endswith(_NO_TLS):
        return _TCP_RULE_ERRORS[0]
    for rule_error in (_RULE_ERROR, _INVALID_RULE, _BROKEN_TCP_OPTION):
        if error.startswith(rule_error):
            return rule_error
    return _BROKEN_OPTION if error.startswith(_BROKEN_OPTION) else error


def seen_by_server(answer: Answer) -> dict[str, Any] | None:
    """What the echo server received, made comparable; None if it was not the echo server that answered."""
    if not answer.body or answer.values("content-type") != ["application/json"]:
        return None
    seen = json.loads(answer.body)
    if "target" not in seen:
        return None
    seen["headers"] = sorted([name.lower(), value] for name, value in seen["headers"])
    return dict(seen)


def seen_by_client(answer: Answer | None) -> dict[str, Any] | None:
    """What the client received, made comparable."""
    if answer is None:
        return None
    headers = sorted([name.lower(), value] for name, value in answer.headers if name.lower() != "date")
    seen = seen_by_server(answer)
    if seen is not None:
        headers = [header for header in headers if header[0] != "content-length"]
    body = _decoded(answer)
    if body is not answer.body:  # how small it became, and how that is framed, is the library's business
        headers = [header for header in headers if header[0] not in ("content-length", "transfer-encoding")]
    return {
        "status": answer.status,
        "headers": headers,
        "body": seen if seen is not None else body.decode("latin-1"),
        "interim": list(answer.interim),
        "trailers": sorted([name.lower(), value] for name, value in answer.trailers),
        "truncated": answer.truncated,
    }


def _decoded(answer: Answer) -> bytes:
    """The body without its content coding; the very same one if it has none that we know."""
    coding = answer.values("content-encoding")
    if coding == ["gzip"]:
        return gzip.decompress(answer.body)
    if coding == ["br"]:
        return bytes(brotli.decompress(answer.body))
    if coding == ["zstd"]:
        return zstandard.ZstdDecompressor().decompressobj().decompress(answer.body)
    return answer.body
