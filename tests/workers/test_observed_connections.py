"""Requests on real connections, of both protocols, as the access log tells of them."""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest

from tests.playbook import Stage
from tests.waiting import wait_until
from tests.workers.http2.client import converse
from tests.workers.secure import client_context, engine, table
from tests.workers.test_observing import Stage as Observation
from workers.exchange import Exchange, ResponseHead

ENGINE = engine()


def show(exchange: Exchange) -> None:
    """Answer with the request body, whole, and a trailer behind it."""
    body = b""
    while piece := exchange.read_body():
        body += piece
    exchange.send(ResponseHead(200, [], trailer=b"Grpc-Status"), body, False)
    exchange.finish(b"!", [(b"Grpc-Status", b"5")])


@pytest.mark.behaviour("OP-42")
def test_http2(tmp_path: Path) -> None:
    observed = Observation(tmp_path)
    with Stage(handler=show) as stage:
        stage.server.observer = observed.observer
        client = converse(stage)
        assert client.get(b"/a?b", method=b"POST", body=b"abc").body == b"abc!"
        wait_until(lambda: not stage.server.active, what="it is over", pause=gevent.sleep)
    (line,) = observed.lines()
    assert (line["RequestProtocol"], line["RequestPath"], line["RequestMethod"]) == ("HTTP/2.0", "/a?b", "POST")
    assert (line["RequestContentSize"], line["DownstreamContentSize"], line["DownstreamStatus"]) == (3, 4, 200)
    assert observed.counted() == ["E,web,200,POST,http"]


def test_http1_with_trailers_and_grpc(tmp_path: Path) -> None:
    observed = Observation(tmp_path)
    with Stage(handler=show) as stage:
        stage.server.observer = observed.observer
        peer = stage.client()
        peer.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\n\r\n"
        )
        assert peer.response().status == 200
    (line,) = observed.lines()
    assert (line["RequestContentSize"], line["DownstreamContentSize"]) == (3, 4)
    assert observed.counted() == ["E,web,5,POST,grpc"]


def test_through_tls(tmp_path: Path) -> None:
    observed = Observation(tmp_path)
    with Stage(handler=show, tls=ENGINE, tls_table=table()) as stage:
        stage.server.observer = observed.observer
        assert stage.secure_client(client_context(), "a.test").get().status == 200
    (line,) = observed.lines()
    assert (line["TLSVersion"], line["TLSCipher"], line["RequestScheme"]) == (
        "1.3",
        "TLS_AES_128_GCM_SHA256",
        "https",
    )
    assert "TLSClientSubject" not in line


@pytest.mark.behaviour("OP-52")
def test_a_head_that_is_no_request_is_not_logged(tmp_path: Path) -> None:
    observed = Observation(tmp_path)
    with Stage() as stage:
        stage.server.observer = observed.observer
        stage.client().get(b"/nothing")
        peer = stage.client()
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        peer.read_to_end()
    assert [line["RequestPath"] for line in observed.lines()] == ["/nothing"]
