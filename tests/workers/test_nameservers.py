"""Asking name servers: those of a resolv.conf, at once, and never for long."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent import socket

from tests.workers.test_dns import answer, cname
from workers import nameservers
from workers.dns import Alias, DNSError
from workers.nameservers import MOST_SERVERS, NameServers

Answers = Callable[[bytes], list[bytes]]
NAME = b"www.a.test"


@contextmanager
def name_server(answers: Answers, address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, port))

        def serve() -> None:
            while True:
                asked, client = sock.recvfrom(4096)
                for data in answers(asked):
                    sock.sendto(data, client)

        serving = gevent.spawn(serve)
        try:
            yield sock.getsockname()[1]
        finally:
            serving.kill()


def saying(target: bytes, ttl: int = 60) -> Answers:
    return lambda asked: [answer(cname(target, ttl=ttl), asked=asked)]


def silent(_: bytes) -> list[bytes]:
    return []


def refusing(asked: bytes) -> list[bytes]:
    return [answer(count=0, code=5, asked=asked)]


def asked(folder: Path, *servers: Answers) -> Alias | None:
    """What is learned from servers at 127.0.0.1, .2 and so on."""
    file = folder / "resolv.conf"
    file.write_text("".join(f"nameserver 127.0.0.{number}\n" for number in range(1, len(servers) + 1)))
    with name_server(servers[0]) as port:
        return _with_others(NameServers(str(file), port), port, servers[1:], 2)


def _with_others(names: NameServers, port: int, servers: tuple[Answers, ...], number: int) -> Alias | None:
    if not servers:
        return names.alias_of(NAME)
    with name_server(servers[0], f"127.0.0.{number}", port):
        return _with_others(names, port, servers[1:], number + 1)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nameservers, "TRY_SECONDS", 0.3)


def test_an_alias(tmp_path: Path) -> None:
    assert asked(tmp_path, saying(b"\x02lb\0")) == Alias(b"lb", 60)


def test_none(tmp_path: Path) -> None:
    assert asked(tmp_path, lambda asked: [answer(count=0, asked=asked)]) is None


def test_of_several_the_one_that_holds_longest(tmp_path: Path) -> None:
    assert asked(tmp_path, saying(b"\x01a\0", 5), saying(b"\x01b\0", 50), saying(b"\x01c\0", 7)) == Alias(b"b", 50)


def test_one_that_answers_is_enough(tmp_path: Path) -> None:
    assert asked(tmp_path, silent, refusing, saying(b"\x02lb\0")) == Alias(b"lb", 60)


@pytest.mark.parametrize(
    ("server", "reason"), [(silent, "127.0.0.1: no answer"), (refusing, "127.0.0.1: response")]
)
def test_nobody_answers(tmp_path: Path, server: Answers, reason: str) -> None:
    with pytest.raises(DNSError, match=reason):
        asked(tmp_path, server)


def test_nobody_is_there(tmp_path: Path) -> None:
    with name_server(silent) as port:
        pass
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    with pytest.raises(DNSError, match=r"127\.0\.0\.1: .*refused"):
        NameServers(str(tmp_path / "resolv.conf"), port).alias_of(NAME)


def test_a_lost_question_is_asked_again(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def second(question: bytes) -> list[bytes]:
        seen.append(question)
        return saying(b"\x02lb\0")(question) if len(seen) > 1 else []

    assert asked(tmp_path, second) == Alias(b"lb", 60)
    assert seen[0][12:] == seen[1][12:]


def test_forged_answers_are_passed_over(tmp_path: Path) -> None:
    def forging(question: bytes) -> list[bytes]:
        wrong = bytes([question[0] ^ 1]) + question[1:]
        return [b"x", answer(cname(b"\x04evil\0"), asked=wrong), *saying(b"\x02lb\0")(question)]

    assert asked(tmp_path, forging) == Alias(b"lb", 60)


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    names = NameServers(str(file))
    with pytest.raises(DNSError, match="No such file"):
        names.addresses()
    lines = ("# nameserver 9.9.9.9", "search a", "nameserver", "nameserver x", " nameserver 1.1.1.1 # one")
    file.write_text("\n".join([*lines, "nameserver fe80::1%lo", ""]))
    assert list(names.addresses()) == ["1.1.1.1", "fe80::1%lo"]
    file.write_text("nameserver 2.2.2.2\n" * (MOST_SERVERS + 3))
    os.utime(file, ns=(1, 1))
    assert list(names.addresses()) == ["2.2.2.2"] * MOST_SERVERS
    file.write_text("")
    with pytest.raises(DNSError, match="no nameserver"):
        names.addresses()
