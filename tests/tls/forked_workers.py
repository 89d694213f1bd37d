"""Two workers forked from one parent that made the base: does a ticket of one resume at the other?

Run as a program by test_resumption.py: one thread, so it may fork. Prints a JSON list of
[version, server name, worker, resumed, option] for each connection it makes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import sys

from config.tls import ClientAuth, TLSOptions
from tests.tls.handshakes import TLS12, TLS13, client_context
from tests.tls.pki import Authority
from tls.contexts import ContextCache
from tls.hello import ClientHello, sniff
from tls.options import resolve
from tls.selection import TLSTable
from tls.server import ServerBase
from tls.server_names import NameTable
from tls.store import Bundle, CertificateStore

ROOT = Authority()
PAIRS = {name: ROOT.issue(name) for name in ("a.test", "m.test")}
DEADLINE_SECONDS = 20


def table() -> TLSTable:
    asks = ClientAuth(ca_files=[ROOT.pem], client_auth_type="RequestClientCert")
    options = {"default": resolve(TLSOptions()), "m": resolve(TLSOptions(client_auth=asks), "m")}
    certificates = {name: pair.loaded() for name, pair in PAIRS.items()}
    store = CertificateStore(certificates, Bundle([certificates["a.test"]]))
    return TLSTable(store, options, NameTable([("m.test", "m")]))


def serve(listener: socket.socket, base: ServerBase) -> None:
    """A worker: its contexts and table are made here, after the fork."""
    contexts, ours = ContextCache(), table()
    while True:
        client, _address = listener.accept()
        client.settimeout(None)
        hello = sniff(client.recv(65536, socket.MSG_PEEK))
        assert isinstance(hello, ClientHello)
        connection = base.connect(ours.select(hello), contexts, client)
        connection.do_handshake()
        connection.recv(1)
        connection.sendall(f"{os.getpid()} {connection.selection.settings.name}".encode())
        connection.shutdown()
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
            client.recv(1)
        client.close()


def visit(
    port: int, name: str, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool, list[str]]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name, session=session) as client,
    ):
        client.sendall(b"?")
        answer = client.recv(100).decode().split()
        return client.session, bool(client.session_reused), answer


def main() -> None:
    base = ServerBase()
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    workers = []
    for listener in listeners:
        pid = os.fork()
        if pid == 0:
            signal.alarm(3 * DEADLINE_SECONDS)
            serve(listener, base)
            os._exit(1)
        workers.append(pid)
    found = []
    try:
        for version in (TLS12, TLS13):
            context = client_context(only=version)
            session = None
            for name, worker in (("a.test", 0), ("a.test", 1), ("a.test", 0), ("m.test", 1), ("m.test", 0)):
                port = listeners[worker].getsockname()[1]
                session, resumed, (pid_text, option) = visit(port, name, context, session)
                found.append([version.name, name, workers.index(int(pid_text)), resumed, option])
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
