"""HTTP/3 towards both proxies, in the words of h2wire: the same cases, another protocol."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from tests.differential.h2wire import H2Answer, Header
from tests.http3_client import Http3Client

NO_ERROR = 0x100


class H3Answer(H2Answer):
    """`end` has HTTP/3's codes, in decimal."""

    @property
    def is_refusal(self) -> bool:
        return self.status == "400" or self.end not in ("ended", f"reset {NO_ERROR}")


def ask(
    port: int,
    headers: Sequence[Header],
    pieces: Sequence[bytes] = (),
    trailers: Sequence[Header] = (),
    *,
    server_name: str = "corpus",
) -> H3Answer:
    """One request on a connection of its own. Header names and values go out as they are, but for the scheme."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        client = Http3Client(sock, server_name)
        fields = [(name, "https" if name == ":scheme" else value) for name, value in headers]
        stream_id = client.begin_with(list(map(_latin, fields)), end=not pieces and not trailers)
        assert client.http is not None
        for number, piece in enumerate(pieces):
            client.http.send_data(stream_id, piece, number == len(pieces) - 1 and not trailers)
        if trailers:
            client.http.send_headers(stream_id, list(map(_latin, trailers)), True)
        client.flush()
        stream = client.stream(stream_id)
        client.pump(lambda: stream.is_complete or stream.reset_code is not None or client.closed is not None)
        client.close()
    answer = H3Answer()
    answer.end = "ended" if stream.is_complete else "gone"
    if stream.reset_code is not None:
        answer.end = f"reset {stream.reset_code}"
    heads = [[(name.decode("latin-1"), value.decode("latin-1")) for name, value in head] for head in stream.heads]
    while heads and heads[0][0][1].startswith("1"):
        answer.interim.append(heads.pop(0)[0][1])
    if heads:
        (_, answer.status), *rest = heads[0]
        answer.headers = sorted(header for header in rest if header[0] != "date")
        answer.trailers = sorted(heads[1]) if len(heads) > 1 else []
    answer.body = bytes(stream.body)
    return answer


def _latin(pair: Header) -> tuple[bytes, bytes]:
    return pair[0].encode("latin-1"), pair[1].encode("latin-1")
