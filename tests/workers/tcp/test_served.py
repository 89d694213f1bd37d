"""Who gets a connection: plaintext, TLS, passthrough, HTTPS and HTTP on one entry point, and what follows."""

from __future__ import annotations

import tempfile

import gevent
import pytest
from cryptography import x509
from gevent import ssl

from config.layer4 import TCPIPAllowList, TCPMiddleware
from tests.playbook import Client, Stage
from tests.tls.pki import Pair
from tests.upstreams import Peer, Upstream
from tests.waiting import wait_until
from tests.workers.secure import authority, client_context
from tests.workers.tcp.staging import https, router, runtime, service, stage, transport

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))
GSSENC_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 48))


def hello(name: str | None = "a.test") -> bytes:
    """The bytes of a ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    data: bytes = outgoing.read()
    return data


def echoing(peer: Peer) -> None:
    """Send back what comes, then the end."""
    while data := peer.read_some():
        peer.send(data)
    peer.half_close()


def telling(name: bytes) -> Upstream:
    """Says `name` first, then what it hears, to the end."""

    def script(peer: Peer) -> None:
        peer.send(name)
        echoing(peer)

    return Upstream(script)


@pytest.mark.behaviour("DP-113")
def test_server_that_speaks_first_is_heard_though_the_client_says_nothing() -> None:
    with telling(b"220 hello\r\n") as server, stage(runtime({"r": router()}, {"s": service(server.port)})) as here:
        client = here.client()
        assert client.read_exactly(11) == b"220 hello\r\n"
        client.send(b"EHLO")
        assert client.read_exactly(4) == b"EHLO"


@pytest.mark.behaviour("DP-114")
def test_catch_all_router_takes_plaintext_http() -> None:
    """Also where TLS routers make it necessary to look at the first bytes."""
    for tls in (https(), https("a.example")):
        with Upstream(echoing) as server:
            running = runtime({"r": router()}, {"s": service(server.port)})
            with stage(running, tls_table=tls) as here:
                client = here.client()
                client.send(GET)
                assert client.read_exactly(len(GET)) == GET
                client.half_close()
                assert client.is_closed()


def test_rule_that_does_not_fit_leaves_plaintext_to_http() -> None:
    running = runtime({"r": router("ClientIP(`192.0.2.1`)")}, {"s": service(9)})
    with stage(running) as here:
        assert here.client().get().status == 200


@pytest.mark.behaviour("DP-115")
def test_passthrough_termination_and_the_rest_by_server_name() -> None:
    own = authority().issue("p.com", common_name="the server's own")
    pair = authority().issue("a.com", common_name="a.com")

    def secured(peer: Peer) -> None:
        peer.socket = server_context(own).wrap_socket(peer.socket, server_side=True)
        echoing(peer)

    with Upstream(secured) as server:
        running = runtime({"p": router("HostSNI(`p.com`)", tls="pass")}, {"s": service(server.port)})
        with stage(running, tls_table=https("a.com", pairs={"a": pair})) as here:
            passed = here.secure_client(client_context(), "p.com")
            assert name_of(passed) == "the server's own"
            passed.send(b"hello")
            assert passed.read_exactly(5) == b"hello"
            ended = here.secure_client(client_context(), "a.com")
            assert name_of(ended) == "a.com"
            assert ended.get().status == 200
            other = here.secure_client(client_context(), "other.com")
            assert name_of(other) == "default.test"
            here.server.secure_table = None
            assert other.get().status == 404


def server_context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pair.key + pair.chain)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def name_of(client: Client) -> str:
    """Common name of the certificate that the client was shown."""
    der = client.socket.getpeercert(binary_form=True)
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


@pytest.mark.behaviour("DP-116")
def test_https_router_takes_its_host_from_passthrough() -> None:
    with Upstream(echoing) as server:
        running = runtime({"p": router("HostSNI(`a.com`)", tls="pass")}, {"s": service(server.port)})
        with stage(running, tls_table=https("a.com")) as here:
            assert here.secure_client(client_context(), "a.com").get().status == 200
            assert not server.connections


@pytest.mark.parametrize("name", ["HostSNI(`*`)", "HostSNI(`any.test`)"])
def test_https_router_for_any_host_comes_before_the_catch_all_alone(name: str) -> None:
    with Upstream(echoing) as server:
        running = runtime({"p": router(name, tls="end")}, {"s": service(server.port)})
        with stage(running, tls_table=https(catch_all=True)) as here:
            client = here.secure_client(client_context(), "any.test")
            client.send(GET)
            answer = client.read_until(b"\r\n\r\n")
            assert answer == GET if "any" in name else answer.startswith(b"HTTP/1.1 200")
        with stage(running, tls_table=https("b.test")) as here:
            client = here.secure_client(client_context(), "any.test")
            client.send(GET)
            assert client.read_exactly(len(GET)) == GET


def test_terminated_tls_reaches_the_server_as_plaintext() -> None:
    pair = authority().issue("a.test", common_name="a.test")
    with telling(b"hi") as server:
        running = runtime({"r": router("HostSNI(`a.test`)", tls="end")}, {"s": service(server.port)})
        with stage(running, tls_table=https(pairs={"a": pair})) as here:
            client = here.secure_client(client_context(), "a.test")
            assert name_of(client) == "a.test"
            assert client.read_exactly(2) == b"hi"
            client.send(b"x" * 200_000)
            assert client.read_exactly(200_000) == b"x" * 200_000


@pytest.mark.behaviour("DP-119")
@pytest.mark.parametrize("tls", [None, "end", "pass"])
def test_refusing_server_closes_the_client_without_a_byte(tls: str | None) -> None:
    with Upstream(echoing) as server:
        dead = server.port
    rule = "HostSNI(`*`)" if tls is None else "HostSNI(`a.test`)"
    with stage(runtime({"r": router(rule, tls=tls)}, {"s": service(dead)})) as here:
        client = here.client()
        client.send(hello("a.test"))
        assert client.is_closed()


def test_service_without_servers_closes() -> None:
    with stage(runtime({"r": router()}, {"s": service()})) as here:
        assert here.client().is_closed()


@pytest.mark.behaviour("DP-120")
@pytest.mark.parametrize(("names_transport", "answer"), [(True, b"late answer"), (False, b"")])
def test_answer_behind_a_half_close(names_transport: bool, answer: bytes) -> None:
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        heard.append(peer.read_to_end())
        turn.wait()
        peer.send(b"late answer")

    turn = gevent.event.Event()
    with Upstream(script) as server:
        made = service(server.port, servers_transport="t" if names_transport else "")
        running = runtime({"r": router()}, {"s": made}, transports={"t": transport(termination_delay="100ms")})
        with stage(running) as here:
            client = here.client()
            client.send(b"question")
            client.half_close()
            wait_until(lambda: heard, pause=gevent.sleep)
            if not names_transport:
                wait_until(lambda: not here.server.active, pause=gevent.sleep)
            turn.set()
            assert client.read_to_end() == answer
            assert heard == [b"question"]


def test_termination_delay_ends_the_other_side() -> None:
    """The server goes on too long after the client has ended."""

    def script(peer: Peer) -> None:
        peer.read_to_end()
        turn.wait()

    turn = gevent.event.Event()
    with Upstream(script) as server:
        made = service(server.port, servers_transport="t")
        running = runtime({"r": router()}, {"s": made}, transports={"t": transport(termination_delay="2s")})
        with stage(running) as here:
            client = here.client()
            client.half_close()
            assert client.hears_nothing(0.1)
            assert here.server.active == 1
            here.clock.advance(3)
            assert client.is_closed()
        turn.set()


@pytest.mark.behaviour("DP-118")
def test_postgres_client_is_promised_tls_and_routed_by_its_name() -> None:
    with Upstream(echoing) as server:
        running = runtime({"db": router("HostSNI(`db`)", tls="end")}, {"s": service(server.port)})
        with stage(running) as here:
            client = ask_postgres(here)
            secured = client_context().wrap_socket(client.socket, server_hostname="db")
            client.socket = secured
            client.send(b"startup")
            assert client.read_exactly(7) == b"startup"


@pytest.mark.behaviour("DP-118")
def test_postgres_passthrough_sends_one_request_and_one_hello() -> None:
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        seen.append(peer.read_exactly(8))
        peer.send(b"S")
        seen.append(peer.read_exactly(len(wanted)))
        peer.send(b"server hello")
        peer.read_to_end()

    wanted = hello("db")
    with Upstream(script) as server:
        running = runtime({"db": router("HostSNI(`db`)", tls="pass")}, {"s": service(server.port)})
        with stage(running) as here:
            client = ask_postgres(here)
            client.send(wanted)
            assert client.read_exactly(12) == b"server hello"
            assert seen == [SSL_REQUEST, wanted]


@pytest.mark.parametrize("answer", [b"N", b""])
def test_postgres_server_that_refuses_tls_ends_the_connection(answer: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.read_exactly(8)
        peer.send(answer)

    with Upstream(script) as server:
        running = runtime({"db": router("HostSNI(`db`)", tls="pass")}, {"s": service(server.port)})
        with stage(running) as here:
            client = ask_postgres(here)
            client.send(hello("db"))
            assert client.is_closed()


def test_postgres_client_of_another_name_or_without_tls_is_closed() -> None:
    running = runtime({"db": router("HostSNI(`db`)", tls="end")}, {"s": service(9)})
    with stage(running, tls_table=https("web")) as here:
        for first in (hello("other"), hello("web"), hello(None), b"plaintext startup"):
            client = ask_postgres(here)
            client.send(first)
            assert client.is_closed()


def test_gssapi_is_refused_and_tls_may_follow() -> None:
    with Upstream(echoing) as server:
        running = runtime({"db": router("HostSNI(`db`)", tls="end")}, {"s": service(server.port)})
        with stage(running) as here:
            client = here.client()
            client.send(GSSENC_REQUEST)
            assert client.read_exactly(1) == b"N"
            client.send(SSL_REQUEST)
            assert client.read_exactly(1) == b"S"
            client.socket = client_context().wrap_socket(client.socket, server_hostname="db")
            client.send(b"startup")
            assert client.read_exactly(7) == b"startup"


def test_gssapi_reaches_a_plaintext_router() -> None:
    """Its server may speak it."""
    with Upstream(echoing) as server:
        routers = {"db": router("HostSNI(`db`)", tls="end"), "any": router()}
        with stage(runtime(routers, {"s": service(server.port)})) as here:
            client = here.client()
            client.send(GSSENC_REQUEST)
            assert client.read_exactly(8) == GSSENC_REQUEST


def ask_postgres(here: Stage) -> Client:
    """A client that has been promised TLS; the request comes in pieces."""
    client = here.client()
    client.send(SSL_REQUEST[:3])
    assert client.hears_nothing(0.02)
    client.send(SSL_REQUEST[3:])
    assert client.read_exactly(1) == b"S"
    return client


def test_refused_client_is_closed_before_the_server_hears_of_it() -> None:
    refusing = TCPMiddleware(ip_allow_list=TCPIPAllowList(source_range=["192.0.2.0/24"]))
    with Upstream(echoing) as server:
        for tls in (None, "end", "pass"):
            rule = "HostSNI(`*`)" if tls is None else "HostSNI(`a.test`)"
            running = runtime(
                {"r": router(rule, tls=tls, middlewares=["m"])},
                {"s": service(server.port)},
                middlewares={"m": refusing},
            )
            with stage(running) as here:
                client = here.client()
                client.send(hello("a.test"))
                assert client.is_closed()
        assert not server.connections


@pytest.mark.behaviour("ADV-F-5")
def test_silent_client_is_closed_after_the_read_timeout() -> None:
    running = runtime({"r": router("HostSNI(`a`)", tls="end")}, {"s": service(9)})
    with stage(running) as here:
        silent, begun, promised = here.client(), here.client(), here.client()
        begun.send(hello("a")[:20])
        promised.send(SSL_REQUEST)
        assert promised.read_exactly(1) == b"S"
        assert silent.hears_nothing(0.02)
        here.clock.advance(59)
        assert begun.hears_nothing(0.02)
        here.clock.advance(3)
        assert silent.is_closed()
        assert begun.is_closed()
        assert promised.is_closed()


def test_broken_option_closes_before_the_handshake() -> None:
    running = runtime({"r": router("HostSNI(`a`)", tls="absent")}, {"s": service(9)})
    with stage(running) as here:
        client = here.client()
        client.send(hello("a"))
        assert client.is_closed()
        assert here.secure_client(client_context(), "b").get().status == 200


def test_handshake_that_fails_is_told_why() -> None:
    """A client that offers other protocols gets the alert, not a reset."""
    with Upstream(echoing) as server:
        running = runtime({"r": router("HostSNI(`a`)", tls="end")}, {"s": service(server.port)})
        with stage(running) as here, pytest.raises(ssl.SSLError, match=r"(?i)alert|no application protocol"):
            here.secure_client(client_context(alpn=["mqtt"]), "a")
