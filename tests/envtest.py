"""A real Kubernetes API server for tests: kube-apiserver over etcd, on loopback, in a temporary folder.

This file decides how the two programs are started, secured and ended. Where they come from is the business of
``tests/apiserver/build.sh``, which prints the folder to name in KUBEBUILDER_ASSETS. There is no scheduler, no
controller manager and no kubelet: what a test does not write is not there, and what it writes stays as it is.
The invariant: only processes started here are ended, by their own pid, and none outlives the test process
(``tests/apiserver/guard.py`` stands between and sees to that even when the tests are killed).
"""

from __future__ import annotations

import base64
import csv
import datetime
import http.client
import ipaddress
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.ports import PortReservation

LOOPBACK = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"  # the first of SERVICE_RANGE belongs to the API server
ADVERTISED_ADDRESS = "192.0.2.1"  # documentation range: the endpoint of default/kubernetes may not be loopback
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
LOOK_SECONDS = 0.05
STOP_SECONDS = 20.0  # more than the guard's own grace, so that the guard is never killed before its program
LOG_TAIL_BYTES = 4000
GUARD = Path(__file__).parent / "apiserver" / "guard.py"


def assets() -> Path | None:
    """The folder that KUBEBUILDER_ASSETS names, or None unless it holds kube-apiserver and etcd."""
    named = os.environ.get("KUBEBUILDER_ASSETS")
    if not named:
        return None
    folder = Path(named).absolute()
    complete = all(os.access(folder / program, os.X_OK) for program in ("kube-apiserver", "etcd"))
    return folder if complete else None


class EnvtestError(Exception):
    """A server did not start, ended by itself or did not answer in time; the text says so with its log."""


class ApiServer:
    """One API server with its own etcd; a context manager that starts on entry and stops on exit.

    Users are added before the start, since the server reads its token file once. Requests open a connection
    each, so any thread may send them. ``start_seconds`` bounds every wait for the servers. Further options of
    kube-apiserver go into ``arguments`` and win over ours.
    """

    def __init__(
        self, folder: Path | None = None, *, start_seconds: float = 120.0, arguments: Sequence[str] = ()
    ) -> None:
        """Take the programs from ``folder`` (default: what ``assets`` finds); nothing is started yet."""
        found = folder or assets()
        if found is None:
            raise EnvtestError("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd")
        self._assets = found
        self._start_seconds = start_seconds
        self._arguments = tuple(arguments)
        self._owner = os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix="envtest-"))
        self._users: list[tuple[str, str, tuple[str, ...]]] = []
        self._etcd: _Server | None = None
        self._apiserver: _Server | None = None
        self._reservations = [PortReservation(LOOPBACK) for _ in range(3)]  # held through restarts
        self._port, self._etcd_port, self._peer_port = (reserved.port for reserved in self._reservations)
        self.url = f"https://{LOOPBACK}:{self._port}"
        self.etcd_url = f"http://{LOOPBACK}:{self._etcd_port}"
        self.ca_path = self._folder / "ca.crt"
        _write_certificates(self._folder)
        self._tls = ssl.create_default_context(cafile=str(self.ca_path))
        self.admin_token = self.add_user("admin", ["system:masters"])

    def __repr__(self) -> str:
        """Address, state and folder: what one needs to look inside while a test hangs."""
        state = "running" if self._apiserver is not None else "stopped"
        return f"<ApiServer {self.url} {state} {self._folder}>"

    def __enter__(self) -> Self:
        """Start both servers and wait until they are ready."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both servers, whatever happened."""
        self.stop()

    # Users

    def add_user(self, name: str, groups: Sequence[str] = ()) -> str:
        """Make a user known by a new token, which is returned; only before the start.

        The user may do what RBAC grants to it or to its groups: nothing, until a test binds a role.
        """
        if self._apiserver is not None:
            raise EnvtestError("users are added before the start: the server reads its token file once")
        token = secrets.token_hex(16)
        self._users.append((token, name, tuple(groups)))
        return token

    def write_kubeconfig(self, path: Path, token: str | None = None, namespace: str = "default") -> None:
        """Write a self-contained kubeconfig for the bearer of the token (default: the admin), mode 0600."""
        authority = base64.b64encode(self.ca_path.read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        context = {"cluster": "envtest", "user": "envtest", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "envtest", "cluster": cluster}],
            "users": [{"name": "envtest", "user": {"token": token or self.admin_token}}],
            "contexts": [{"name": "envtest", "context": context}],
            "current-context": "envtest",
        }
        _write_private(path, json.dumps(config, indent=2).encode())  # JSON is YAML

    # Life

    def start(self) -> None:
        """Start etcd and the API server and return when the server is ready; on failure nothing is left."""
        if self._etcd is not None:
            raise EnvtestError("already started")
        with (self._folder / "tokens.csv").open("w", newline="", encoding="utf-8") as file:
            for number, (token, name, groups) in enumerate(self._users):
                csv.writer(file).writerow([token, name, f"uid-{number}", ",".join(groups)])
        try:
            self._etcd = _Server("etcd", self._etcd_command(), self._folder)
            self._wait_for("etcd", self._etcd_healthy)
            self._start_apiserver()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both servers and remove their folder; harmless when repeated, never started, or in a fork."""
        if os.getpid() != self._owner:
            return
        try:
            self._stop_apiserver()
        finally:
            if self._etcd is not None:
                self._etcd.stop()
                self._etcd = None
            for reserved in self._reservations:
                reserved.release()
            shutil.rmtree(self._folder, ignore_errors=True)

    def restart_apiserver(self) -> None:
        """Replace the API server by a new one: same port, same data, same tokens.

        Open watches end. The new server's watch cache begins at the revision of this moment, so a watch from
        an older resourceVersion is answered with 410 from now on, whether etcd was compacted or not.
        """
        if self._etcd is None:
            raise EnvtestError("not started")
        self._stop_apiserver()
        self._start_apiserver()

    def _start_apiserver(self) -> None:
        self._apiserver = _Server("kube-apiserver", self._apiserver_command(), self._folder)
        self._wait_for("kube-apiserver", self._ready)

    def _stop_apiserver(self) -> None:
        if self._apiserver is not None:
            self._apiserver.stop()
            self._apiserver = None

    # Requests

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str | None = None,
        content_type: str = "application/json",
        *,
        timeout_seconds: float = 30.0,
    ) -> tuple[int, Any]:
        """Send one request and return its status and its decoded JSON (or text, where the answer is no JSON).

        ``path`` includes the query. A body that is bytes or text is sent as it is, anything else as JSON. The
        admin asks unless a token is given; the empty token asks as nobody. Raises OSError or HTTPException
        when there is no answer.
        """
        with self._exchange(
            method, path, body, token, content_type=content_type, timeout=timeout_seconds
        ) as response:
            text = response.read().decode()
            is_json = "json" in response.headers.get_content_type()
            return response.status, json.loads(text) if is_json and text else text

    def watch(self, path: str, token: str | None = None, *, timeout_seconds: float = 30.0) -> Generator[Any]:
        """Yield the events of a watch (``path`` says ``watch=true``) as they come, until the server ends it.

        An answer other than 200 is yielded as one ERROR event with the Status, as the server itself does it
        within a stream. Raises TimeoutError when nothing comes for that long. Use it up, or close it.
        """
        with self._exchange("GET", path, None, token, content_type="", timeout=timeout_seconds) as response:
            if response.status != 200:
                yield {"type": "ERROR", "object": json.loads(response.read())}
                return
            while line := response.readline():
                yield json.loads(line)

    @contextmanager
    def _exchange(
        self, method: str, path: str, body: object, token: str | None, *, content_type: str, timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Accept": "application/json"}
        bearer = self.admin_token if token is None else token
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        content: bytes | None = None
        if body is not None:
            headers["Content-Type"] = content_type
            content = _encoded(body)
        connection = http.client.HTTPSConnection(LOOPBACK, self._port, timeout=timeout, context=self._tls)
        try:
            connection.request(method, path, content, headers)
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    # etcd

    def compact_etcd(self) -> int:
        """Forget all history, so that every resourceVersion handed out so far is answered with 410; return
        the revision at which history now begins.

        Compacting etcd alone is not enough: the API server goes on serving old versions out of its watch
        cache. So the server is stopped, etcd compacted, and a new server started (see ``restart_apiserver``),
        whose cache knows nothing older. From then on 410 is the answer to a watch from an old version (as an
        ERROR event within a 200), to the continue token of an old list and to a list that wants exactly an
        old version. Lists that take "not older than" still succeed, as they do in any cluster.
        """
        if self._etcd is None:
            raise EnvtestError("not started")
        self._stop_apiserver()
        marker = base64.b64encode(b"/envtest/compacted").decode()  # a write of our own, so that old is older
        answer = self._etcd_call("/v3/kv/put", {"key": marker, "value": ""})
        revision = int(answer["header"]["revision"])
        self._etcd_call("/v3/kv/compaction", {"revision": str(revision), "physical": True})
        self._start_apiserver()
        return revision

    def _etcd_call(self, path: str, body: object) -> Any:
        """Call etcd's JSON gateway; answers carry 64 bit numbers as text."""
        connection = http.client.HTTPConnection(LOOPBACK, self._etcd_port, timeout=30)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            with connection.getresponse() as response:
                content = response.read()
                if response.status != 200:
                    raise EnvtestError(f"etcd answered {response.status} to {path}: {content.decode()}")
                return json.loads(content)
        finally:
            connection.close()

    # Starting

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        """Look until ready; give up when a server ends by itself or the time is over."""
        deadline = time.monotonic() + self._start_seconds
        while not _answers(ready):
            for server in (self._etcd, self._apiserver):
                if server is not None and server.ended() is not None:
                    raise EnvtestError(f"{server.name} ended with {server.ended()}: {server.log_tail()}")
            if time.monotonic() > deadline:
                raise EnvtestError(f"{name} was not ready in {self._start_seconds:g} seconds")
            time.sleep(LOOK_SECONDS)

    def _etcd_healthy(self) -> bool:
        return bool(self._etcd_call("/v3/maintenance/status", {}).get("leader"))

    def _ready(self) -> bool:
        """Ready, and the namespace that tests write to is made (readiness alone does not promise it)."""
        return all(self.request("GET", path)[0] == 200 for path in ("/readyz", "/api/v1/namespaces/default"))

    def _etcd_command(self) -> list[str]:
        peer_url = f"http://{LOOPBACK}:{self._peer_port}"
        return [
            str(self._assets / "etcd"),
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={self.etcd_url}",
            f"--advertise-client-urls={self.etcd_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",  # nothing here has to survive the machine
        ]

    def _apiserver_command(self) -> list[str]:
        return [
            str(self._assets / "kube-apiserver"),
            f"--etcd-servers={self.etcd_url}",
            "--etcd-compaction-interval=0",  # compact_etcd alone makes history end
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self._port}",
            f"--advertise-address={ADVERTISED_ADDRESS}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--cert-dir={self._folder}",
            f"--tls-cert-file={self._folder / 'server.crt'}",
            f"--tls-private-key-file={self._folder / 'server.key'}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",  # no controller makes the accounts it asks for
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={self._folder / 'accounts.key'}",
            f"--service-account-key-file={self._folder / 'accounts.key'}",
            *self._arguments,
        ]


class _Server:
    """One running program below its guard, with all that it says in one log file."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        guarded = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *command]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                guarded,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(folder),
                cwd=folder,
                start_new_session=True,  # an interrupt at the terminal is for the tests, which then call stop
            )

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """End it and wait for that; the guard kills what does not end by itself."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(STOP_SECONDS)

    def log_tail(self) -> str:
        """The end of its log, for an error message."""
        return self._log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")


def _environment(home: Path) -> dict[str, str]:
    """Ours, without what would change how a server behaves: proxies, and etcd's options by other means."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    return {name: value for name, value in kept.items() if not name.startswith("ETCD_")} | {"HOME": str(home)}


def _answers(ready: Callable[[], bool]) -> bool:
    """Whether it is ready, where not answering (or not yet) means no."""
    try:
        return ready()
    except (OSError, http.client.HTTPException, EnvtestError):
        return False


def _encoded(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def _write_certificates(folder: Path) -> None:
    """Make the authority (ca.crt), the server's pair (server.*) and the key for service accounts."""
    authority_key, server_key, accounts_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "envtest authority")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in (LOOPBACK, SERVICE_ADDRESS)]
    names = [x509.DNSName(name) for name in SERVER_NAMES]
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())

    authority = (
        _certificate(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(authority_id, critical=False)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _certificate(server_name, authority_name, server_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False
        )
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / "server.crt").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    _write_private(folder / "server.key", _key_pem(server_key))
    _write_private(folder / "accounts.key", _key_pem(accounts_key))


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    """What both certificates share; valid from an hour ago, since clocks differ, for a week."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=7))
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    """An authority signs certificates, a server signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    path.touch(mode=0o600)
    path.write_bytes(content)
