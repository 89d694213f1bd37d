"""Where we differ on purpose, see docs/compatibility.md: what is not compared, and which differences are meant."""

from __future__ import annotations

import base64
import copy
import re
import string
from typing import Any, Final
from urllib.parse import unquote

from tests.differential.generated_middlewares_calls import Call
from tests.differential.generated_middlewares_ground import Outcome
from tests.differential.generated_middlewares_plan import Route

_IN_CHUNKS: Final = ["transfer-encoding", "chunked"]
_OF_AUTH: Final = ("content-length", "transfer-encoding", "user-agent")
_WITH_OWN_HEADERS: Final = {"grpcWeb", "errors", "retry", "buffering", "forwardAuth"}
_BASE64: Final = {*string.ascii_letters, *string.digits, *"+/="}
_EXPOSED: Final = "access-control-expose-headers"


def reduced(route: Route, call: Call, outcome: Outcome) -> Outcome:
    """Without what is never compared."""
    result = copy.deepcopy(outcome)
    for seen in result["server"]:
        headers = [pair for pair in seen["headers"] if not _is_odd_request_header(route, seen, pair[0])]
        if len(route.kinds) > 1:  # one path that was replaced by another is spelled as in the configuration
            headers = [[name, _spelled(value) if name == "x-replaced-path" else value] for name, value in headers]
        seen["headers"] = headers
    for client in result["client"] if isinstance(result["client"], list) else [result["client"]]:
        if client is not None:
            _reduce_answer(route, call, client)
    return result


def _spelled(path: str) -> str:
    return "/" + unquote(path).removeprefix("/")


def _is_odd_request_header(route: Route, seen: dict[str, Any], name: str) -> bool:
    """gRPC asks for `Te: trailers`. Questions of forwardAuth have a length, and no User-Agent of their own."""
    if name == "te":
        return "grpcWeb" in route.kinds
    if name == "content-type" and "grpcWeb" in route.kinds:  # empty where there was none
        return not dict(seen["headers"])[name]
    return name in _OF_AUTH and " /auth" in seen["words"]


def _reduce_answer(route: Route, call: Call, client: dict[str, Any]) -> None:
    headers, kinds = client["headers"], set(route.kinds)
    if client["status"] == 304:  # whose Content-Type the original drops
        headers = [pair for pair in headers if pair[0] != "content-type"]
    if call.method == "HEAD":
        odd = ("trailer", "content-length") if "buffering" in kinds else ("trailer",)
        headers = [pair for pair in headers if pair[0] not in odd and pair != ["content-length", "0"]]
    if not client["body"] and any(reply.framing != "length" for reply in (*call.replies, *call.side_replies)):
        # In the original the end of an empty stream races with the flush that makes it one.
        headers = [pair for pair in headers if pair not in (["content-length", "0"], _IN_CHUNKS)]
    if "buffering" in route.kinds:  # where the original sends trailers twice
        headers = [pair for pair in headers if pair[0] != "x-t"]
    if "grpcWeb" in route.kinds:  # the original lists them in any order, and some that are not there
        headers = [[name, _sorted(value) if name == _EXPOSED else value] for name, value in headers]
        headers = [pair for pair in headers if pair[0] != "vary"]  # the server's takes the place of all others
    if kinds & {*_WITH_OWN_HEADERS, "headers"} and "compress" in kinds:  # likewise
        headers = [pair for pair in headers if pair[0] != "vary"]
    if kinds & {"contentType", "compress"} and kinds & _WITH_OWN_HEADERS:  # inside of those the type is guessed
        headers = [pair for pair in headers if pair[0] != "content-type"]
    if "grpcWeb" in kinds and set(client["body"]) <= _BASE64:
        client["body"] = _decoded(client["body"])
    client["headers"] = headers


def _decoded(text: str) -> str:
    """The original may put two pieces of base64 into one."""
    pieces = (piece + "=" * (-len(piece) % 4) for piece in re.split("=+", text) if piece)
    try:
        return b"".join(map(base64.b64decode, pieces)).decode("latin-1")
    except ValueError:
        return text


def _sorted(value: str) -> str:
    return ", ".join(sorted(set(value.split(", ")) - {"Content-Type", "Access-Control-Expose-Headers"}))


def is_known(route: Route, call: Call, their: Outcome, our: Outcome) -> bool:
    """Both are reduced."""
    theirs, ours = their["client"], our["client"]
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return False
    kinds, statuses = set(route.kinds), (theirs["status"], ours["status"])
    if kinds & {"replacePath", "replacePathRegex"} and statuses[0] == 502:
        return all("/auth" in seen["words"] for seen in their["server"])  # a target without a slash at its start
    if "retry" in kinds and any(reply.framing != "length" for reply in call.replies):
        return True  # of a stream that is dropped the original may send the status
    if "grpcWeb" in kinds and (statuses == (500, 400) or _same_but_frame(kinds, theirs["body"], ours["body"])):
        return True  # a body that is no base64
    if "compress" in kinds and statuses[0] == statuses[1] and theirs["body"] == ours["body"]:
        # In the original two threads decide what of a stream comes first, its head or its bytes.
        return any(reply.framing != "length" for reply in (*call.replies, *call.side_replies))
    if "forwardAuth" in kinds and call.is_chunked and not call.body and statuses[0] == 500:
        return True  # an empty body that is to be passed on
    if {"forwardAuth", "basicAuth"} <= kinds and statuses[0] == statuses[1]:
        return True  # the user's name in a header that the auth server may set, and did not
    if "stripPrefixRegex" in kinds and "%00" in call.target and statuses[1] == 400:
        return True  # no prefix that could be sent on
    if "digestAuth" in kinds and call.target.startswith("//"):
        return True  # which the original takes for a host
    is_redirected = kinds & {"redirectRegex", "redirectScheme"} and len(kinds) > 1 and ";" in call.target
    return bool(is_redirected) and repr(theirs).replace("&", ";") == repr(ours).replace("&", ";")


def _same_but_frame(kinds: set[str], theirs: str, ours: str) -> bool:
    """Headers that are removed from a response show up among the original's trailers."""
    their_body, our_body = theirs.rpartition("\x80")[0], ours.rpartition("\x80")[0]
    return bool(kinds & {"headers", "compress"}) and their_body == our_body != ""
