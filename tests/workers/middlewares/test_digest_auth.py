"""DigestAuth: what is accepted, how often, and by every worker alike."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from config.cells import Cells
from config.middlewares_auth import DigestAuth
from tests.playbook import Response, Stage
from tests.upstreams import echo
from tests.workers.middlewares.around import behind, context
from workers.building import BuildError
from workers.middlewares import nonces
from workers.middlewares.digest_auth import digest_auth, parameters
from workers.shared import CellsBusy, SharedState, Words

HA1 = "a2688e031edb4be6a3797f3882655c05"
OPTIONS = DigestAuth(users=[f"test:traefik:{HA1}", f"other:elsewhere:{HA1}"])


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def answer(challenge: dict[str, str], **changed: str) -> bytes:
    """An Authorization line; `changed` parameters, `secret`, `method` and `scheme`."""
    values = {
        "username": "test",
        "realm": "traefik",
        "nonce": challenge["nonce"],
        "uri": "/x?y=1",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "c",
        "opaque": challenge["opaque"],
        "algorithm": "MD5",
        "secret": HA1,
        "method": "GET",
        "scheme": "Digest",
    } | changed
    secret, method, scheme = (values.pop(name) for name in ("secret", "method", "scheme"))
    parts = ":".join(values[name] for name in ("nonce", "nc", "cnonce", "qop"))
    what = md5(f"{method}:{values['uri']}")
    values.setdefault("response", md5(f"{secret}:{parts}:{what}"))
    listed = ", ".join(
        f"{name}={value}" if name in ("nc", "qop", "algorithm") else f'{name}="{value}"'
        for name, value in values.items()
        if value
    )
    return f"Authorization: {scheme} {listed}".encode()


def challenge_of(response: Response) -> dict[str, str]:
    assert response.status == 401
    value = response[b"www-authenticate"]
    assert value is not None
    return {name.decode(): text.decode() for name, text in parameters(value).items()}


@pytest.fixture
def shared() -> SharedState:
    return SharedState.private()


@pytest.fixture
def where(shared: SharedState) -> Iterator[Stage]:
    with behind(digest_auth, OPTIONS, echo, shared=shared) as stage:
        yield stage


def ask(where: Stage, *lines: bytes) -> Response:
    return where.client().get(b"/x?y=1", *lines)


@pytest.mark.behaviour("MW-56")
def test_challenge(where: Stage) -> None:
    response = ask(where)
    assert (response.status, response.body, response[b"content-type"]) == (
        401,
        b"401 Unauthorized\n",
        b"text/plain",
    )
    value = response[b"www-authenticate"]
    found = challenge_of(response)
    expected = (
        f'Digest realm="traefik", nonce="{found["nonce"]}", opaque="{found["opaque"]}", '
        'algorithm="MD5", qop="auth"'
    )
    assert value == expected.encode()
    again = challenge_of(ask(where))
    assert again["opaque"] == found["opaque"]
    assert again["nonce"] != found["nonce"]


@pytest.mark.behaviour("MW-57")
def test_each_count_is_good_for_once(where: Stage) -> None:
    found = challenge_of(ask(where))
    assert ask(where, answer(found)).status == 200
    replayed = challenge_of(ask(where, answer(found)))
    assert "stale" not in replayed
    assert ask(where, answer(found, nc="00000003")).status == 200
    stale = challenge_of(ask(where, answer(found, nc="00000002")))
    assert stale["stale"] == "true"
    assert stale["nonce"] != found["nonce"]
    assert ask(where, answer(stale)).status == 200


@pytest.mark.behaviour("MW-58")
def test_every_worker_knows_the_nonces_and_counts_of_all() -> None:
    cells = Cells.create()
    for slot in range(2):
        cells.open_slot(slot)
    with (
        behind(digest_auth, OPTIONS, echo, shared=SharedState(cells, 0)) as first,
        behind(digest_auth, OPTIONS, echo, shared=SharedState(cells, 1)) as second,
    ):
        found = challenge_of(ask(first))
        assert ask(second, answer(found)).status == 200
        assert ask(first, answer(found)).status == 401
        assert ask(first, answer(found, nc="2")).status == 200
        assert ask(second, answer(found, nc="2")).status == 401


@pytest.mark.behaviour("MW-60")
def test_user_of_another_realm(where: Stage) -> None:
    found = challenge_of(ask(where))
    assert ask(where, answer(found, username="other")).status == 401
    assert ask(where, answer(found, username="other", realm="elsewhere")).status == 401


def test_unknown_user_whatever_it_answers(where: Stage) -> None:
    """ADV-H"""
    found = challenge_of(ask(where))
    nobody = md5(found["opaque"])
    for secret in ("", HA1, "d41d8cd98f00b204e9800998ecf8427e", nobody):
        assert ask(where, answer(found, username="nobody", secret=secret)).status == 401
        assert ask(where, answer(found, username="", secret=secret)).status == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"scheme": "digest"},
        {"secret": "0" * 32},
        {"opaque": "x"},
        {"algorithm": "SHA-256"},
        {"qop": "auth-int"},
        {"uri": "/other"},
        {"uri": "/x/longer"},
        {"uri": "*"},
        {"method": "POST"},
        {"nc": "xyz"},
        {"nc": ""},
        {"nc": "1" * 17},
        {"nonce": "x"},
        {"nonce": "x" * 32},
        {"nonce": ""},
        {"response": "x"},
    ],
)
def test_wrong_answers(where: Stage, changed: dict[str, str]) -> None:
    found = challenge_of(ask(where))
    assert "stale" not in challenge_of(ask(where, answer(found, **changed)))
    assert ask(where, answer(found)).status == 200


@pytest.mark.behaviour("MW-59")
def test_uri_is_that_of_the_moment(where: Stage) -> None:
    found = challenge_of(ask(where))
    assert ask(where, answer(found, uri="/api/x?y=1")).status == 401
    assert ask(where, answer(found, uri="/x")).status == 200


def test_nonce_of_another_instance(shared: SharedState) -> None:
    other = digest_auth(DigestAuth(users=OPTIONS.users, header_field="X"), context(shared=shared))
    with (
        behind(digest_auth, OPTIONS, echo, shared=shared) as first,
        Stage(handler=other(lambda _: None)) as second,
    ):
        mine, theirs = challenge_of(ask(first)), challenge_of(ask(second))
        assert mine["opaque"] != theirs["opaque"]
        assert ask(first, answer({**mine, "nonce": theirs["nonce"]})).status == 401


def test_old_nonces_are_stale(where: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    found = challenge_of(ask(where))
    assert ask(where, answer(found)).status == 200
    later = time.monotonic() + nonces.LIFETIME_SECONDS
    monkeypatch.setattr(nonces, "time", SimpleNamespace(monotonic=lambda: later))
    assert challenge_of(ask(where, answer(found, nc="00000009")))["stale"] == "true"
    assert "stale" not in challenge_of(ask(where, answer(found, nc="00000009", secret="0" * 32)))


def test_challenges_leave_nothing_behind(where: Stage, shared: SharedState) -> None:
    """ADV-F: only those who know a password make the proxy remember anything."""
    updates: list[bytes] = []
    original = Words.update

    def noted(self: Words, source: bytes, change: Any) -> int | None:
        if source != b"epoch":  # of health checks, which write now and then, whoever asks for anything
            updates.append(source)
        return original(self, source, change)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Words, "update", noted)
        found = challenge_of(ask(where))
        ask(where, answer(found, secret="0" * 32))
        assert not updates
        ask(where, answer(found))
        assert len(updates) == 1


def test_locked_cells_let_nobody_in(where: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    found = challenge_of(ask(where))

    def busy(*_: object) -> None:
        raise CellsBusy

    monkeypatch.setattr(Words, "update", busy)
    assert ask(where, answer(found)).status == 503


def test_user_and_credentials_towards_the_server(shared: SharedState) -> None:
    options = DigestAuth(users=OPTIONS.users, header_field="X-User", remove_header=True)
    with behind(digest_auth, options, echo, shared=shared) as where:
        found = challenge_of(ask(where))
        body = ask(where, answer(found), b"x-user: evil", b"X_User: evil").body
        assert b"\r\nX-User: test\r\n" in body
        assert b"evil" not in body
        assert b"uthorization" not in body


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"Digest",
        b"Digest ,",
        b'Digest a="b',
        b"Digest a=b c=d",
        b'Digest a="b"c=d',
        b"Digest =b",
        b"Digest a",
        b"Digest " + b"a=b," * 10_000,
        b'Digest a="' + b"\\" * 9999,
    ],
)
def test_parameters_that_cannot_be_read(text: bytes) -> None:
    found = parameters(text)
    assert not found


def test_parameters() -> None:
    assert parameters(b'Digest A="b\\"c, d" , e=f,g=""') == {b"a": b'b"c, d', b"e": b"f", b"g": b""}
    assert parameters(b'Digest a=\\b, c="\\d\\\\",c="\\e"') == {b"a": rb"\b", b"c": b"e"}
    assert parameters(b"Digest \t a \t= b \t,") == {b"a": b"b"}
    assert parameters(b"Digest  ") == {}


@pytest.mark.parametrize("users", [["a:b"], ["a:b:c:d"], ["secret-hash"]])
def test_lines_that_are_none(shared: SharedState, users: list[str]) -> None:
    """ADV-I"""
    with pytest.raises(BuildError, match=r"error parsing DigestUser: users\[0\]") as caught:
        digest_auth(DigestAuth(users=users), context(shared=shared))
    assert "secret-hash" not in str(caught.value)


def test_nothing_is_served_without_cells() -> None:
    with pytest.raises(BuildError):
        digest_auth(OPTIONS, context())
