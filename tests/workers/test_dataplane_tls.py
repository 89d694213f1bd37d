"""A whole worker through TLS: options and certificates of generations in force, requests held against them."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent import ssl

from config import tls as config
from config.control_page import ControlPage
from config.generation import (
    Meta,
    RoutingShard,
    SectionKey,
    TLSShard,
    digest_of,
    encode_section,
    shard_of,
)
from config.generation_writing import write_generation
from config.http import LoadBalancer, Router, RouterTLS, Server, Service
from config.static import EntryPoint, StaticConfiguration
from config.static_entrypoint import HTTP, TLS
from tests.playbook import Client, Response
from tests.tls.pki import Authority, Pair
from tests.upstreams import Peer, Upstream
from tests.workers.secure import TLS12, TLS13, authority, client_context, engine
from workers.dataplane import DataPlane

P = "@kubernetescrd"
ENGINE = engine()
CLIENTS = Authority("clients")


def serve(peer: Peer) -> None:
    while head := peer.read_some():
        assert head.endswith(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


class Worker:
    """Entry points `web` and `secure` (which gives TLS to all its routers), as a worker process has them."""

    def __init__(self, upstream: Upstream) -> None:
        points = {"web": EntryPoint(address=":0"), "secure": EntryPoint(address=":0", http=HTTP(tls=TLS()))}
        listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in points}
        self.ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
        page = ControlPage.create()
        self._descriptor = page.descriptor
        static = StaticConfiguration(entry_points=points)
        self.plane = DataPlane(static, listeners, page, page.slot(0), logging.getLogger("plane"), ENGINE)
        self._url = upstream.url
        self._number = 0
        self._clients: list[Client] = []
        self.plane.start()

    def apply(
        self,
        routers: Mapping[str, Router],
        *,
        certificates: Mapping[str, Pair] | None = None,
        options: Mapping[str, config.TLSOptions] | None = None,
        stores: Mapping[str, config.TLSStore] | None = None,
    ) -> None:
        self._number += 1
        pairs = {
            source: config.StoredCertificate(cert_file=pair.chain.decode(), key_file=pair.key.decode())
            for source, pair in (certificates or {}).items()
        }
        named = {name if name == "default" else name + P: one for name, one in (options or {}).items()}
        sections: dict[SectionKey, Any] = {
            SectionKey("meta", 0): Meta(number=self._number, created_unix_seconds=0),
            SectionKey("routing", 0): RoutingShard(
                routers={name + P: router for name, router in routers.items()},
                services={"s" + P: Service(load_balancer=LoadBalancer(pass_host_header=True))},
            ),
            SectionKey("endpoints", shard_of("s" + P)): {"s" + P: [Server(url=self._url)]},
            SectionKey("tls", 0): TLSShard(certificates=pairs, options=named, stores=dict(stores or {})),
        }
        encoded = [(key, encode_section(value)) for key, value in sections.items()]
        descriptor = write_generation(self._number, [(key, data, digest_of(data)) for key, data in encoded])
        try:
            self.plane.apply([descriptor])
        finally:
            os.close(descriptor)

    def connect(
        self,
        name: str | None,
        point: str = "web",
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> Client:
        plain = gevent.socket.create_connection(("127.0.0.1", self.ports[point]))
        plain.settimeout(15)
        try:
            secured = (context or client_context()).wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise
        client = Client(secured)
        self._clients.append(client)
        return client

    def ask(self, name: str | None, host: str, path: str = "/", **members: Any) -> Response:
        return self.connect(name, **members).get(path.encode(), host=host.encode())

    def end(self) -> None:
        for client in self._clients:
            client.close()
        self.plane.quit()
        os.close(self._descriptor)


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Upstream(serve) as upstream:
        made = Worker(upstream)
        yield made
        made.end()


@pytest.fixture
def with_certificate(tmp_path: Path) -> ssl.SSLContext:
    """A client whom CLIENTS vouches for."""
    pair = CLIENTS.issue("me", usage="client")
    path = tmp_path / "client.pem"
    path.write_bytes(pair.key + pair.chain)
    return client_context(certificate=str(path))


def route(rule: str, option: str | None = "", *, entry_points: tuple[str, ...] = ("web",)) -> Router:
    """`option` None: no TLS."""
    tls = RouterTLS(options=option) if option is not None else None
    return Router(rule=rule, service="s", tls=tls, entry_points=list(entry_points))


MTLS = config.TLSOptions(client_auth=config.ClientAuth(ca_files=[CLIENTS.pem]))


def subject(client: Client) -> bytes:
    found: bytes = client.socket.getpeercert(True)
    return found


@pytest.mark.behaviour("DP-49")
def test_routers_with_tls_and_without(worker: Worker) -> None:
    worker.apply({"t": route("Host(`t`)"), "p": route("Host(`p`)", None)})
    plain = Client(gevent.socket.create_connection(("127.0.0.1", worker.ports["web"])))
    assert [plain.get(host=host).status for host in (b"t", b"p")] == [404, 200]
    plain.close()
    assert [worker.ask(host, host).status for host in ("t", "p")] == [200, 404]


def test_an_entry_point_that_gives_tls_to_all(worker: Worker) -> None:
    worker.apply({"p": route("Host(`p`)", None, entry_points=("web", "secure"))})
    assert worker.ask("p", "p", point="secure").status == 200
    assert worker.ask("p", "p").status == 404
    assert set(worker.plane.runtime.routers) == {f"secure-p{P}", f"p{P}"}


@pytest.mark.behaviour("DP-104")
def test_nothing_is_configured(worker: Worker) -> None:
    client = worker.connect("a.test")
    assert b"default.test" in subject(client)
    assert client.get().status == 404


@pytest.mark.behaviour("DP-105")
def test_certificates_by_name(worker: Worker) -> None:
    pairs = {"n/w": authority().issue("*.a.test"), "n/x": authority().issue("x.a.test")}
    worker.apply({}, certificates=pairs)
    for name, expected in (("x.a.test", b"x.a.test"), ("y.a.test", b"*.a.test"), ("x.y.a.test", b"default.test")):
        assert expected in subject(worker.connect(name))


def test_a_spoilt_certificate_is_left_out_alone(worker: Worker) -> None:
    good, other = authority().issue("a.test", common_name="good"), authority().issue("b.test")
    worker.apply({}, certificates={"n/bad": Pair(other.chain, good.key), "n/a": good})
    assert b"default.test" in subject(worker.connect("b.test"))
    assert b"good" in subject(worker.connect("a.test"))
    assert list(worker.plane.runtime.tls.spoilt) == ["n/bad"]


def test_the_store_says_which_certificate_is_the_default(worker: Worker) -> None:
    pair = authority().issue("mine.test", common_name="mine")
    given = config.Certificate(cert_file=pair.chain.decode(), key_file=pair.key.decode())
    worker.apply({}, stores={"default": config.TLSStore(default_certificate=given)})
    assert b"mine" in subject(worker.connect("any.test"))
    spoilt = config.Certificate(cert_file="nonsense", key_file="secret nonsense")
    worker.apply({}, stores={"default": config.TLSStore(default_certificate=spoilt)})
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        worker.connect("any.test")
    assert "nonsense" not in repr(worker.plane.runtime.tls.spoilt)
    worker.apply({})
    assert b"default.test" in subject(worker.connect("any.test"))


def test_certificates_of_other_stores_are_not_shown(worker: Worker) -> None:
    pair = authority().issue("a.test", common_name="stored elsewhere")
    worker.apply({}, certificates={"n/a": pair})
    assert b"stored elsewhere" in subject(worker.connect("a.test"))
    runtime = worker.plane.runtime
    elsewhere = config.StoredCertificate(
        cert_file=pair.chain.decode(), key_file=pair.key.decode(), stores=["n-other"]
    )
    changed, _ = runtime.tls.updated(_certificates({"n/a": elsewhere}), lambda: None)
    assert changed.store.find("a.test") is None


def _certificates(pairs: dict[str, config.StoredCertificate | None]) -> Any:
    from workers.tls_state import TLSChanges

    return TLSChanges(certificates=pairs)


@pytest.mark.behaviour("DP-108")
def test_requests_are_held_against_their_connection(worker: Worker, with_certificate: ssl.SSLContext) -> None:
    """ADV-C: the name in the handshake and the one in the request."""
    worker.apply(
        {
            "a": route("Host(`a.test`)"),
            "b": route("Host(`b.test`)"),
            "m": route("Host(`m.test`)", "mtls"),
            "m2": route("Host(`m2.test`)", "mtls"),
            "rest": route("Path(`/rest`)"),
        },
        options={"mtls": MTLS},
    )
    misdirected = worker.ask("a.test", "m.test")
    assert (misdirected.status, misdirected.body) == (421, b"Misdirected Request\n")
    assert worker.ask("a.test", "b.test").status == 200
    assert worker.ask(None, "m.test").status == 421
    assert worker.ask("a.test", "nobody.test").status == 404
    assert worker.ask("m.test", "a.test", context=with_certificate).status == 421
    assert worker.ask("m.test", "m2.test", context=with_certificate).status == 200
    assert worker.ask("m.test", "m.test", "/rest", context=with_certificate).status == 200
    assert worker.ask("m.test", "x.test", "/rest", context=with_certificate).status == 421


@pytest.mark.parametrize("host", ["M.test", "m.test.", "M.TEST.", "m.test:443", "m.test.:8443"])
def test_no_spelling_of_a_host_slips_past_its_option(worker: Worker, host: str) -> None:
    """ADV-C."""
    worker.apply({"a": route("Host(`a.test`)"), "m": route("Host(`m.test`)", "mtls")}, options={"mtls": MTLS})
    assert worker.ask("a.test", host).status in (421, 404)
    assert worker.ask(None, host).status in (421, 404)


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("name", ["m.test", "M.TEST", "m.test.", "x.w.test"])
def test_a_client_without_a_certificate_is_turned_away(worker: Worker, version: ssl.TLSVersion, name: str) -> None:
    """ADV-C: with TLS 1.3 the alert comes with the first read."""
    routers = {"m": route("Host(`m.test`)", "mtls"), "w": route("Host(`*.w.test`)", "mtls")}
    worker.apply(routers, options={"mtls": MTLS})
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        worker.ask(name, name, context=client_context(only=version))


def test_a_session_of_one_option_is_nothing_to_another(worker: Worker) -> None:
    """ADV-C."""
    routers = {"a": route("Host(`a.test`)"), "m": route("Host(`m.test`)", "mtls")}
    worker.apply(routers, options={"mtls": MTLS})
    for version in (TLS12, TLS13):
        context = client_context(only=version)
        first = worker.connect("a.test", context=context)
        assert first.get(host=b"a.test").status == 200
        session = first.socket.session
        again = worker.connect("a.test", context=context, session=session)
        assert again.get(host=b"a.test").status == 200
        assert again.socket.session_reused
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            worker.connect("m.test", context=context, session=session).get(host=b"m.test")


@pytest.mark.behaviour("DP-109")
def test_a_quarrel_is_served_with_the_default(worker: Worker) -> None:
    worker.apply(
        {
            "m1": route("Host(`m.test`) && Path(`/1`)", "mtls"),
            "m2": route("Host(`m.test`) && Path(`/2`)"),
            "a": route("Host(`a.test`)"),
        },
        options={"mtls": MTLS},
    )
    client = worker.connect("m.test")
    assert [client.get(path, host=b"m.test").status for path in (b"/1", b"/2")] == [200, 200]
    assert client.get(host=b"a.test").status == 200
    states = worker.plane.runtime.routers
    assert states[f"web-conflicted-m1{P}"].status == "warning"


@pytest.mark.behaviour("DP-110")
def test_unknown_and_broken_options_close_their_hosts(worker: Worker) -> None:
    """ADV-C: what is missing, broken or empty never becomes something weaker."""
    worker.apply(
        {
            "u": route("Host(`u.test`)", "gone"),
            "b": route("Host(`b.test`)", "broken"),
            "v": route("Host(`v.test`)", "unverifiable"),
            "e": route("Host(`e.test`)", "empty-authority"),
            "ok": route("Host(`ok.test`)"),
        },
        options={
            "broken": config.TLSOptions(cipher_suites=["NOPE"]),
            "unverifiable": config.TLSOptions(
                client_auth=config.ClientAuth(client_auth_type="RequireAndVerifyClientCert")
            ),
            "empty-authority": config.TLSOptions(client_auth=config.ClientAuth(ca_files=[""])),
        },
    )
    for name in ("u.test", "b.test", "v.test", "e.test"):
        with pytest.raises((ssl.SSLEOFError, ConnectionError)):
            worker.connect(name)
        assert worker.ask("ok.test", name).status == 404
    assert worker.ask("ok.test", "ok.test").status == 200


def test_a_broken_default_closes_all_that_nothing_else_covers(worker: Worker) -> None:
    routers = {"a": route("Host(`a.test`)"), "o": route("Host(`o.test`)", "o")}
    broken = config.TLSOptions(min_version="VersionTLS13", max_version="VersionTLS12")
    worker.apply(routers, options={"default": broken, "o": config.TLSOptions()})
    for name in ("a.test", "unknown.test", None):
        with pytest.raises((ssl.SSLEOFError, ConnectionError)):
            worker.connect(name)
    assert worker.ask("o.test", "o.test").status == 200


def test_an_option_that_changes_while_a_connection_lives(worker: Worker) -> None:
    worker.apply({"a": route("Host(`a.test`)")}, options={"o": config.TLSOptions()})
    client = worker.connect("a.test")
    assert client.get(host=b"a.test").status == 200
    worker.apply({"a": route("Host(`a.test`)", "o")}, options={"o": config.TLSOptions()})
    assert client.get(host=b"a.test").status == 421
    assert worker.ask("a.test", "a.test").status == 200


@pytest.mark.behaviour("ADV-C-7")
@pytest.mark.parametrize("name", ["o", "default"])
def test_an_option_that_lets_in_others_while_a_connection_lives(worker: Worker, name: str) -> None:
    routers = {"a": route("Host(`a.test`)", name), "b": route("Host(`b.test`)")}
    worker.apply(routers, options={name: config.TLSOptions()})
    client = worker.connect("a.test")
    assert client.get(host=b"a.test").status == 200
    worker.apply(routers, options={name: config.TLSOptions(min_version="VersionTLS13")})
    assert client.get(host=b"a.test").status == 200, "it is let in as before"
    worker.apply(routers, options={name: MTLS})
    assert client.get(host=b"a.test").status == 421
    worker.apply(routers, options={name: config.TLSOptions()})
    assert client.get(host=b"a.test").status == 200


def test_no_key_is_shown_by_mistake(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """ADV-I: neither by a repr, nor by the log."""
    caplog.set_level(logging.DEBUG)
    pair = authority().issue("a.test")
    worker.apply({}, certificates={"n/a": pair, "n/bad": Pair(pair.key, pair.key)})
    secret = pair.key.decode().splitlines()[1]
    runtime = worker.plane.runtime
    assert secret not in repr((runtime, runtime.tls, runtime.tls.spoilt, runtime.tls_tables)) + caplog.text


def test_a_renewal_under_load_fails_no_handshake(worker: Worker) -> None:
    """Every 100 ms another certificate for the name; every handshake gets one, every request its answer."""
    routers = {"a": route("Host(`a.test`)")}
    serials: set[bytes] = set()
    counts = {"done": 0}
    failures: list[str] = []
    renewed = [authority().issue("a.test", common_name=f"number {number}") for number in range(20)]
    worker.apply(routers, certificates={"n/a": renewed[0]})
    ends = time.monotonic() + 2.0

    def visit() -> None:
        while time.monotonic() < ends:
            try:
                client = worker.connect("a.test")
                serials.add(subject(client))
                assert client.get(host=b"a.test").status == 200
                client.close()
                counts["done"] += 1
            except Exception as error:
                failures.append(repr(error))

    visitors = [gevent.spawn(visit) for _ in range(4)]
    applied = 0
    while time.monotonic() < ends:
        applied += 1
        worker.apply(routers, certificates={"n/a": renewed[applied % len(renewed)]})
        gevent.sleep(0.1)
    gevent.joinall(visitors, raise_error=True)
    assert failures == []
    assert counts["done"] > 50
    assert applied > 10
    assert len(serials) > 5
