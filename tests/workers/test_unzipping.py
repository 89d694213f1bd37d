"""Answers that were compressed only because the proxy asked for it."""

from __future__ import annotations

import gzip
import zlib

import pytest

from tests.playbook import Response, Stage
from tests.upstreams import Peer

TEXT = b"0123456789" * 5000
PACKED = gzip.compress(TEXT, mtime=0)


def answer(
    body: bytes, *lines: bytes, request: bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", pieces: int = 0
) -> tuple[bytes, Response]:
    """What the server was sent, and what the client got."""
    heads: list[bytes] = []

    def script(peer: Peer) -> None:
        heads.append(peer.read_head())
        framing = b"Content-Length: %d" % len(body)
        peer.send(b"\r\n".join([b"HTTP/1.1 200 OK", framing, *lines, b"", b""]))
        if pieces:
            peer.dribble(body, pieces)
        else:
            peer.send(body)

    with Stage(script) as stage:
        client = stage.client()
        client.send(request)
        response = client.response(request.partition(b" ")[0])
        return heads[0], response


@pytest.mark.behaviour("DP-60")
def test_unpacked_for_a_client_that_did_not_ask() -> None:
    head, response = answer(PACKED, b"Content-Encoding: gzip")
    assert b"\r\nAccept-Encoding: gzip\r\n" in head
    assert (response.body, response[b"content-encoding"], response[b"content-length"]) == (TEXT, None, None)
    assert answer(PACKED, b"Content-Encoding: GZIP", pieces=7)[1].body == TEXT


@pytest.mark.behaviour("DP-60")
@pytest.mark.parametrize("line", [b"Accept-Encoding: gzip", b"accept-encoding:", b"Range: bytes=0-"])
def test_left_alone_for_one_that_did(line: bytes) -> None:
    head, response = answer(
        PACKED, b"Content-Encoding: gzip", request=b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % line
    )
    assert head.lower().count(b"accept-encoding") == line.lower().count(b"accept-encoding")
    assert (response.body, response[b"content-encoding"]) == (PACKED, b"gzip")
    assert response[b"content-length"] == b"%d" % len(PACKED)


def test_head_asks_for_nothing() -> None:
    head, response = answer(b"", b"Content-Encoding: gzip", request=b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"Accept-Encoding" not in head
    assert response[b"content-encoding"] == b"gzip"


@pytest.mark.parametrize("coding", [b"br", b"deflate", b"gzip, br", b"identity"])
def test_other_codings_pass(coding: bytes) -> None:
    _, response = answer(b"bytes", b"Content-Encoding: " + coding)
    assert (response.body, response[b"content-encoding"]) == (b"bytes", coding)


def test_plain_answers_keep_their_length() -> None:
    assert answer(b"plain")[1][b"content-length"] == b"5"


def test_members_one_after_the_other() -> None:
    assert answer(PACKED + gzip.compress(b"more", mtime=0), b"Content-Encoding: gzip")[1].body == TEXT + b"more"


def test_an_empty_body() -> None:
    _, response = answer(b"", b"Content-Encoding: gzip")
    assert (response.status, response.body) == (200, b"")


def test_what_is_no_gzip_is_refused() -> None:
    _, response = answer(b"this is no gzip", b"Content-Encoding: gzip")
    assert (response.status, response.body) == (500, b"Internal Server Error")


@pytest.mark.parametrize("body", [PACKED[:-4], PACKED[:100], PACKED[:200] + b"x" * 100])
def test_what_breaks_on_the_way_is_cut(body: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body))
        peer.dribble(body, 50)

    with Stage(script) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert not client.read_to_end().endswith(b"\r\n0\r\n\r\n")


def test_a_bomb_stays_small_in_memory() -> None:
    size = 32 << 20
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(bytes(size)) + packer.flush()
    assert len(bomb) < size // 900
    _, response = answer(bomb, b"Content-Encoding: gzip")
    assert len(response.body) == size
