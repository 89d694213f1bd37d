"""RateLimit in Redis, against a real redis-server."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import gevent
import pytest
from msgspec.structs import replace

from config.middlewares_auth import ClientTLS
from config.middlewares_source import SourceCriterion
from config.middlewares_traffic import REDIS_DEFAULTS, RateLimit, Redis
from config.shape import Shape
from tests.ports import PortReservation
from tests.tls.pki import Authority
from tests.waiting import wait_until
from tests.workers.middlewares.limits import answers, chain, context, exchange, requests, statuses
from workers import redis_client as door
from workers.building import BuildError
from workers.middlewares import rate_limit_redis
from workers.middlewares.rate_limit import Pace
from workers.middlewares.rate_limit import rate_limit as build
from workers.middlewares.rate_limit_redis import take
from workers.redis_client import RedisUnavailable, redis_client

pytest.importorskip("redis", reason="the extra redis is not installed")
SERVER = shutil.which("redis-server")
needs_server = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")
SECOND = 1_000_000_000
HOUR = Pace(3600.0 * SECOND, 5, 0, 3601)


class Server:
    """A redis-server on a free port, with these lines in its configuration; {port} is filled in."""

    def __init__(self, folder: Path, *lines: str) -> None:
        assert SERVER is not None
        self._reservation = PortReservation()
        self.port = self._reservation.port
        text = "\n".join(["bind 127.0.0.1", 'save ""', *(lines or ["port {port}"])])
        (folder / "redis.conf").write_text(text.replace("{port}", str(self.port)) + "\n")
        self._process = subprocess.Popen([SERVER, "redis.conf"], cwd=folder, stdout=subprocess.DEVNULL)
        try:
            wait_until(self._listens, what="redis-server listens")
        except AssertionError:
            self.stop()
            raise

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except ConnectionRefusedError:
            return False
        return True

    def options(self, **changed: object) -> Redis:
        return Redis(**(_members(REDIS_DEFAULTS) | {"endpoints": [f"127.0.0.1:{self.port}"]} | changed))  # type: ignore[arg-type]

    def ask(self, *words: str) -> bytes:
        """One command, its raw reply."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
            client.sendall(" ".join(words).encode() + b"\r\n")
            return client.recv(65536)

    def sees_whole_cluster(self) -> bool:
        return b"cluster_state:ok" in self.ask("CLUSTER", "INFO")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(15)
        self._reservation.release()


def _members(shape: Shape) -> dict[str, object]:
    return {name: getattr(shape, name) for name in shape.__struct_fields__}


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    yield
    door.end_threads()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.stop()


@needs_server
def test_one_budget_for_all_routers_and_workers(server: Server) -> None:
    options = RateLimit(average=1, period="1h0m0s", burst=5, redis=server.options())
    one, two = (chain(build, options, answers(), context(owner=owner)) for owner in ("one@test", "two@test"))
    assert statuses(one, requests(3)) == [200] * 3
    assert statuses(two, requests(3)) == [200, 200, 429]
    refused = exchange()
    one(refused)
    assert refused.body == b"Too Many Requests"
    assert refused.headers[0] == (b"Retry-After", b"3600")
    assert refused.headers[1][1].startswith(b"59m5")
    assert statuses(one, requests(1, ip="192.0.2.9")) == [200]


@needs_server
def test_what_is_kept(server: Server) -> None:
    criterion = SourceCriterion(request_header_name="X-K")
    options = RateLimit(average=1, period="1h0m0s", burst=5, redis=server.options(), source_criterion=criterion)
    statuses(chain(build, options, answers()), [exchange((b"X-K", b"me"))])
    kept = server.ask("HGETALL", "rate:limit@test:me").split(b"\r\n")
    assert kept[0] == b"*4"
    assert [kept[2], kept[6], kept[8]] == [b"last", b"tokens", b"4"]
    assert 3590 < int(server.ask("TTL", "rate:limit@test:me")[1:]) <= 3601


@needs_server
def test_a_long_source_is_not_kept_as_it_is(server: Server) -> None:
    """A header may be a megabyte; the keys of Redis are not to be."""
    criterion = SourceCriterion(request_header_name="X-K")
    options = RateLimit(average=1, period="1h0m0s", burst=1, redis=server.options(), source_criterion=criterion)
    handler = chain(build, options, answers())
    long, other = (exchange((b"X-K", b"k" * 100_000 + end)) for end in (b"1", b"2"))
    assert statuses(handler, [long, other]) == [200, 200]
    assert statuses(handler, [exchange((b"X-K", b"k" * 100_000 + b"1"))]) == [429]
    assert len(server.ask("KEYS", "*")) < 300


@needs_server
def test_who_waits_has_taken_and_who_is_refused_has_not(server: Server) -> None:
    client = redis_client(server.options())
    pace = Pace(float(SECOND), 1, SECOND, 60)
    assert take(client, b"k", pace) == (True, 0)
    taken, wait_ns = take(client, b"k", pace)
    assert taken
    assert 0.5 * SECOND < wait_ns <= SECOND
    refused, wait_ns = take(client, b"k", pace)
    assert not refused
    assert SECOND < wait_ns <= 2 * SECOND
    again, wait_again_ns = take(client, b"k", pace)
    assert not again
    assert wait_again_ns <= wait_ns


def test_a_held_request_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(rate_limit_redis, "take", lambda *_: (True, SECOND // 4))
    monkeypatch.setattr(rate_limit_redis, "sleep", slept.append)
    assert statuses(chain(build, RateLimit(average=1, redis=Redis()), answers()), requests(1)) == [200]
    assert slept == [0.25]


@needs_server
def test_many_greenlets_get_exactly_the_burst(server: Server) -> None:
    client = redis_client(server.options(pool_size=4))
    calls = [gevent.spawn(take, client, b"k", HOUR) for _ in range(50)]
    gevent.joinall(calls)
    assert sum(call.value[0] for call in calls) == 5


@needs_server
def test_a_server_that_forgot_the_script_and_closed_the_connection(server: Server) -> None:
    client = redis_client(server.options())
    assert take(client, b"k", HOUR)[0]
    server.ask("SCRIPT", "FLUSH")
    assert take(client, b"k", HOUR)[0]
    server.ask("CLIENT", "KILL", "TYPE", "normal")
    assert take(client, b"k", HOUR)[0]


@needs_server
def test_users_passwords_and_databases(tmp_path: Path) -> None:
    server = Server(
        tmp_path, "port {port}", "user limiter on >secret ~rate:* +@all", "user default on nopass ~* +@all"
    )
    try:
        client = redis_client(server.options(username="limiter", password="secret", db=3))
        assert take(client, b"rate:k", HOUR)[0]
        assert server.ask("EXISTS", "rate:k") == b":0\r\n"
        with pytest.raises(RedisUnavailable):
            take(redis_client(server.options(username="limiter", password="wrong")), b"rate:k", HOUR)
    finally:
        server.stop()


@needs_server
def test_a_cluster(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes, buses = [], []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            bus = stack.enter_context(PortReservation()).port
            lines = ("port {port}", "cluster-enabled yes", f"cluster-port {bus}")
            node = Server(tmp_path / name, *lines)
            stack.callback(node.stop)
            nodes.append(node)
            buses.append(bus)
        nodes[0].ask("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
        nodes[1].ask("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
        nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", str(nodes[1].port), str(buses[1]))
        for node in nodes:
            wait_until(node.sees_whole_cluster, what="the cluster forms")
        options = nodes[0].options(endpoints=[f"127.0.0.1:{node.port}" for node in nodes], db=7)
        client = redis_client(options)
        for source in range(20):
            assert [take(client, b"rate:m:%d" % source, HOUR)[0] for _ in range(6)] == [True] * 5 + [False]
        assert all(node.ask("DBSIZE") != b":0\r\n" for node in nodes)


@needs_server
def test_tls(tmp_path: Path) -> None:
    authority, other = Authority(), Authority()
    pair, mine = authority.issue("127.0.0.1"), authority.issue("client.test", usage="client")
    for name, text in (("ca", authority.pem.encode()), ("cert", pair.chain), ("key", pair.key)):
        (tmp_path / name).write_bytes(text)
    server = Server(
        tmp_path,
        "port 0",
        "tls-port {port}",
        "tls-auth-clients yes",
        "tls-cert-file cert",
        "tls-key-file key",
        "tls-ca-cert-file ca",
    )
    try:
        right = ClientTLS(ca=authority.pem, cert=mine.chain.decode(), key=mine.key.decode())
        careless = replace(right, ca=other.pem, insecure_skip_verify=True)
        for tls in (right, careless):
            assert take(redis_client(server.options(tls=tls)), b"k", HOUR)[0]
        for wrong in (replace(right, ca=other.pem), ClientTLS(ca=authority.pem), None):
            with pytest.raises(RedisUnavailable):
                take(redis_client(server.options(tls=wrong, read_timeout="2s")), b"k", HOUR)
    finally:
        server.stop()


@pytest.mark.behaviour("MW-114")
def test_without_redis_requests_fail() -> None:
    with PortReservation() as closed:
        options = Redis(endpoints=[f"127.0.0.1:{closed.port}"], read_timeout="3s", write_timeout="3s")
        failed = exchange()
        chain(build, RateLimit(average=1, burst=5, redis=options), answers())(failed)
    assert (failed.status, failed.body) == (500, b"Could not insert/update bucket\n")


def test_a_server_that_does_not_answer_and_a_full_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_QUEUE_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        client = redis_client(Redis(endpoints=[address], read_timeout="200ms", pool_size=1))
        waiting = [gevent.spawn(take, client, b"k", HOUR) for _ in range(3)]
        gevent.joinall(waiting)
    assert all(isinstance(call.exception, RedisUnavailable) for call in waiting)
    assert any("busy" in str(call.exception) for call in waiting)


@pytest.mark.behaviour("MW-115")
def test_no_average_refuses_everything() -> None:
    refused = exchange()
    chain(build, RateLimit(burst=5, redis=Redis()), answers())(refused)
    assert (refused.status, refused.body) == (429, b"No bursty traffic allowed\n")


def test_an_option_without_effect_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    options = RateLimit(average=1, redis=Redis(min_idle_conns=3))
    for owner in ("one@test", "two@test"):
        build(options, context(owner=owner))
    assert [record.message.split()[0] for record in caplog.records] == ["minIdleConns"]


def test_wrong_options() -> None:
    for tls in (ClientTLS(ca="nonsense"), ClientTLS(cert="a", key="b"), ClientTLS(key="b")):
        with pytest.raises(BuildError, match="TLS configuration"):
            redis_client(Redis(tls=tls))


@pytest.mark.parametrize("endpoint", ["localhost", ":6379", "localhost:x", "localhost:70000"])
def test_what_is_no_address_is_as_good_as_a_dead_server(endpoint: str) -> None:
    with pytest.raises(RedisUnavailable, match="host:port"):
        take(redis_client(Redis(endpoints=[endpoint])), b"k", HOUR)


def test_equal_options_share_a_client() -> None:
    one = redis_client(Redis(endpoints=["127.0.0.1:1"]))
    assert redis_client(Redis(endpoints=["127.0.0.1:1"])) is one
    assert redis_client(Redis(endpoints=["127.0.0.1:2"])) is not one
