"""What counts as the same.

Left out of the comparison, each for a reason that docs/compatibility.md gives: the `Date` of an answer, the
order and letter case of header names, the text of rule errors (ours names a column and what to change), the
gzip that Traefik asks the server for on its own account, and the routers and services that are ours alone.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.differential.wire import Answer

_OURS_ALONE = ("ready@internal",)
_RULE_ERROR = "error while parsing rule"
_INVALID_RULE = "invalid rule "
_BROKEN_OPTION = "building router handler: building TLS config: "
_SPELLED_BY_US = "is not served by this version of Pointsman"


def objects_of(rawdata: dict[str, Any], namespace: str) -> dict[str, dict[str, Any]]:
    """Section to name to object, for the objects of one namespace, made comparable.

    Copies of routers for an entry point have its name before theirs.
    """
    is_mine = re.compile(rf"((web|other)-)?(conflicted-)?((web|other)-)?{re.escape(namespace)}-").match
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
    return result


def _reduced(error: str) -> str:
    for rule_error in (_RULE_ERROR, _INVALID_RULE):
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
    seen["headers"] = sorted(
        [name.lower(), value] for name, value in seen["headers"] if name.lower() != "accept-encoding"
    )
    return dict(seen)


def seen_by_client(answer: Answer | None) -> dict[str, Any] | None:
    """What the client received, made comparable."""
    if answer is None:
        return None
    headers = sorted([name.lower(), value] for name, value in answer.headers if name.lower() != "date")
    seen = seen_by_server(answer)
    if seen is not None:
        headers = [header for header in headers if header[0] != "content-length"]
    return {
        "status": answer.status,
        "headers": headers,
        "body": seen if seen is not None else answer.body.decode("latin-1"),
        "interim": list(answer.interim),
        "trailers": sorted([name.lower(), value] for name, value in answer.trailers),
        "truncated": answer.truncated,
    }
