"""BasicAuth: who may pass, what it costs, and what nobody may learn from it."""

from __future__ import annotations

import base64
import threading

import bcrypt
import gevent
import pytest

from config.middlewares_auth import BasicAuth
from tests.playbook import Response, Stage, respond
from tests.upstreams import echo
from tests.waiting import wait_until
from tests.workers.middlewares.around import behind, context, noted
from workers.building import BuildError
from workers.exchange import Exchange, Note
from workers.middlewares import passwords
from workers.middlewares.basic_auth import Users, basic_auth
from workers.middlewares.passwords import PasswordChecker, matches

APR1 = "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"
SHA = "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="
BCRYPT = "$2b$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a"
USERS = [f"apr:{APR1}", f"sha:{SHA}", f"strong:{BCRYPT}", "plain:test", "crypt:$5$rounds=5000$s$x", "old:xyz"]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> PasswordChecker:
    """A checker that remembers nothing."""
    made = PasswordChecker()
    monkeypatch.setattr(passwords, "_checkers", [made])
    return made


def stage(**options: object) -> Stage:
    return behind(basic_auth, BasicAuth(users=USERS, **options), echo)  # type: ignore[arg-type]


def line(name: str, password: str, scheme: str = "Basic") -> bytes:
    return f"Authorization: {scheme} {base64.b64encode(f'{name}:{password}'.encode()).decode()}".encode()


def ask(where: Stage, *lines: bytes) -> Response:
    return where.client().get(b"/", *lines)


@pytest.mark.behaviour("MW-48")
def test_challenge() -> None:
    with stage() as where:
        answer = ask(where)
        assert (answer.status, answer.body) == (401, b"401 Unauthorized\n")
        assert answer[b"content-type"] == b"text/plain"
        assert answer[b"www-authenticate"] == b'Basic realm="traefik"'
        assert where.upstream is not None
        assert not where.upstream.connections


@pytest.mark.behaviour("MW-49")
@pytest.mark.parametrize(
    ("name", "status"),
    [("apr", 200), ("sha", 200), ("strong", 200), ("plain", 401), ("crypt", 401), ("old", 401), ("nobody", 401)],
)
def test_kinds_of_hashes(name: str, status: int) -> None:
    with stage() as where:
        assert ask(where, line(name, "test")).status == status
        assert ask(where, line(name, "wrong")).status == 401


@pytest.mark.behaviour("MW-50")
def test_credentials_reach_the_server_unless_removed() -> None:
    with stage() as where:
        assert line("sha", "test") in ask(where, line("sha", "test")).body
    with stage(remove_header=True) as where:
        assert b"uthorization" not in ask(where, line("sha", "test")).body


@pytest.mark.behaviour("MW-51")
@pytest.mark.behaviour("ADV-B-3")
def test_only_the_real_user_reaches_the_server() -> None:
    """ADV-B"""
    with stage(header_field="x-WebAuth-User") as where:
        spoofed = [b"X-Webauth-User: evil", b"x-webauth-user: evil", b"X_WebAuth_User: evil"]
        body = ask(where, line("sha", "test"), *spoofed).body
        assert b"\r\nx-WebAuth-User: sha\r\n" in body
        assert b"evil" not in body


@pytest.mark.behaviour("MW-52")
def test_realm() -> None:
    with stage(realm="my") as where:
        assert ask(where)[b"www-authenticate"] == b'Basic realm="my"'


@pytest.mark.behaviour("MW-55")
def test_preflights_are_no_exception() -> None:
    with stage() as where:
        client = where.client()
        client.send(
            b"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\nAccess-Control-Request-Method: GET\r\n\r\n"
        )
        assert client.response().status == 401


@pytest.mark.parametrize(
    "value",
    [
        b"Basic",
        b"Basic ",
        b"Basic  " + base64.b64encode(b"sha:test"),
        b"Basic " + base64.b64encode(b"sha:test") + b"=",
        b"Basic " + base64.b64encode(b"sha:test")[:-1],
        b"Basic c2hhOnRlc3Q",
        b"Basic " + base64.b64encode(b"sha"),
        b"Basic " + base64.b64encode(b"sha\r\nX: y:test"),
        b"Basic " + base64.b64encode(b"\xff\xfe:\x00"),
        b"Basic \xc3\xa9",
        b"Bearer " + base64.b64encode(b"sha:test"),
        b"Basic:" + base64.b64encode(b"sha:test"),
    ],
)
def test_odd_headers_are_refused(value: bytes) -> None:
    with stage() as where:
        assert ask(where, b"Authorization: " + value).status == 401


def test_first_line_counts_and_the_scheme_in_any_case() -> None:
    with stage() as where:
        assert ask(where, line("sha", "test", "bAsIc"), b"Authorization: x").status == 200
        assert ask(where, b"Authorization: x", line("sha", "test")).status == 401


def test_passwords_with_colons_zeros_and_of_any_length() -> None:
    hashed = bcrypt.hashpw(b"a:b\xc3\xa9", bcrypt.gensalt(4)).decode()
    long = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert matches(b"a:b\xc3\xa9", hashed)
    assert matches(b"x" * 72 + b"more", long)  # as everywhere: bcrypt sees 72 bytes
    assert not matches(b"te\0st", APR1)
    for variant in "abxy":
        assert matches(b"test", f"$2{variant}$" + BCRYPT[4:])


def test_huge_password_is_refused_without_work(fresh: PasswordChecker) -> None:
    """ADV-F"""
    with stage() as where:
        assert ask(where, line("strong", "x" * 100_000)).status == 401
        assert ask(where, line("nobody", "x" * 100_000)).status == 401
    assert fresh.computed == 0


@pytest.mark.parametrize("hashed", [APR1, SHA, BCRYPT])
@pytest.mark.behaviour("ADV-H-1")
def test_unknown_names_cost_the_same(fresh: PasswordChecker, hashed: str) -> None:
    """ADV-H"""
    users = Users({b"a": hashed})
    users.accept(b"a", b"wrong")
    for_known = fresh.computed
    assert not users.accept(b"b", b"wrong")
    assert fresh.computed == 2 * for_known == 2
    assert not users.accept(b"b", b"test")  # right for the hash that stands in
    assert not users.accept(b"b", b"test")
    assert fresh.computed == 4


def test_what_stands_in_for_a_name_is_always_the_same() -> None:
    """ADV-H: hashes of different costs must not tell names apart by asking twice."""
    users = {name.encode(): hashed for name, hashed in (one.split(":") for one in USERS)}
    first, second = Users(users), Users(dict(users))
    names = [b"%d" % number for number in range(100)]
    assert [first._stand_in(name) for name in names] == [second._stand_in(name) for name in names]
    assert {first._stand_in(name) for name in names} == set(users.values())


def test_right_pairs_are_remembered_and_wrong_ones_are_not(fresh: PasswordChecker) -> None:
    for _ in range(3):
        assert fresh.check(b"test", BCRYPT)
    assert fresh.computed == 1
    for _ in range(3):
        assert not fresh.check(b"wrong", BCRYPT)
    assert fresh.computed == 4


def test_memory_is_bounded(fresh: PasswordChecker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_REMEMBERED", 2)
    for hashed in (BCRYPT, APR1, BCRYPT.replace("$2b$", "$2a$")):
        assert fresh.check(b"test", hashed)
    assert len(fresh._verified) == 2


@pytest.mark.behaviour("ADV-H-2")
def test_no_other_pair_has_the_same_key(fresh: PasswordChecker) -> None:
    """ADV-H"""
    assert fresh._key(b"c", "ab") != fresh._key(b"bc", "a")


def test_same_questions_at_once_are_computed_once(fresh: PasswordChecker, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(passwords, "matches", lambda *pair: bool(gate.wait(15)) and matches(*pair))
    asking = [gevent.spawn(fresh.check, b"test", BCRYPT) for _ in range(5)]
    gevent.sleep(0)
    gate.set()
    assert [one.get(timeout=15) for one in asking] == [True] * 5
    assert fresh.computed == 1


def test_too_many_waiting_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """ADV-F"""
    monkeypatch.setattr(passwords, "_MOST_WAITING", 0)
    with stage() as where:
        answer = ask(where, line("strong", "test"))
        assert (answer.status, answer.body) == (503, b"Service Unavailable")
        assert ask(where, line("sha", "test")).status == 200


def test_others_are_served_while_a_hash_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(passwords, "matches", lambda *pair: bool(gate.wait(15)))
    with stage() as where:
        slow = where.client()
        slow.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + line("strong", "x") + b"\r\n\r\n")
        wait_until(lambda: where.table.requests, pause=gevent.sleep)
        assert ask(where).status == 401
        gate.set()
        assert slow.response().status == 200


def test_client_that_left_meanwhile_asks_nothing_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, done = threading.Event(), threading.Event()

    def slow(*pair: object) -> bool:
        gate.wait(15)
        done.set()
        return True

    monkeypatch.setattr(passwords, "matches", slow)
    asked: list[object] = []
    with behind(basic_auth, BasicAuth(users=USERS), handler=asked.append) as where:
        exchanges = noted(where)
        client = where.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + line("strong", "x") + b"\r\n\r\n")
        wait_until(lambda: where.table.requests, pause=gevent.sleep)
        exchange = exchanges[0]
        client.close()
        wait_until(lambda: exchange.client_gone, pause=gevent.sleep)
        gate.set()
        wait_until(lambda: done.is_set() and not where.server.open_connections, pause=gevent.sleep)
    assert not asked


@pytest.mark.parametrize("users", [["name"], ["name:a:b"], [f"ok:{SHA}", "secret-hash"], []])
def test_lines_that_are_none(users: list[str]) -> None:
    """ADV-I: the message names the place, not the line."""
    with pytest.raises(BuildError) as caught:
        basic_auth(BasicAuth(users=users), context())
    assert "secret-hash" not in str(caught.value)


def test_configured_texts_cannot_break_out_of_their_line() -> None:
    with stage(realm="a\r\nX-Evil: 1") as where:
        response = ask(where)
        assert (response.status, response[b"x-evil"]) == (401, None)
    with pytest.raises(BuildError, match="headerField"):
        basic_auth(BasicAuth(users=USERS, header_field="X-A: 1\r\nX-Evil"), context())


def test_hash_that_takes_forever() -> None:
    """ADV-F"""
    with pytest.raises(BuildError, match="is 31, which"):
        basic_auth(BasicAuth(users=["a:$2b$31$" + BCRYPT[7:]]), context())


def test_handlers_inside_get_the_exchange_itself() -> None:
    with behind(basic_auth, BasicAuth(users=USERS), handler=respond(204, b"")) as where:
        assert ask(where, line("sha", "test")).status == 204


@pytest.mark.parametrize("name", ["sha", "nob\u00f6dy"])
def test_name_is_noted_right_or_wrong(name: str) -> None:
    note = Note()
    with stage() as where:
        inner = where.table.handler
        assert inner is not None

        def with_note(exchange: Exchange) -> None:
            exchange.note = note
            inner(exchange)

        where.table.handler = with_note
        ask(where, line(name, "test"))
        assert note.user == name
