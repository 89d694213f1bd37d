"""A shard's bytes are those of its objects encoded together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.generation import RoutingShard, TLSShard, encode_section
from config.http import LoadBalancer, Router, Server, Service
from config.layer4 import UDPRouter
from config.middlewares import Middleware
from config.tls import StoredCertificate, TLSOptions
from provider.shards import Shard

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
OBJECTS = {
    "routers": st.builds(Router, rule=NAMES, service=NAMES),
    "services": st.just(Service(load_balancer=LoadBalancer(pass_host_header=True))),
    "middlewares": st.just(Middleware()),
    "udp_routers": st.builds(UDPRouter, service=NAMES),
}
MEMBERS = st.fixed_dictionaries({member: st.dictionaries(NAMES, one) for member, one in OBJECTS.items()})


@given(MEMBERS)
def test_the_bytes_are_those_of_the_whole(members: dict[str, dict[str, object]]) -> None:
    shard = Shard("routing")
    for member, objects in members.items():
        for name, value in objects.items():
            assert shard.put(name, value, member)
    assert shard.encode() == encode_section(RoutingShard(**members))  # type: ignore[arg-type]
    assert bool(shard) == any(members.values())


@given(st.dictionaries(NAMES, st.lists(st.builds(Server, url=NAMES), max_size=3), max_size=40))
def test_endpoints_have_no_members(endpoints: dict[str, list[Server]]) -> None:
    shard = Shard("endpoints")
    for name, servers in endpoints.items():
        shard.put(name, servers)
    assert shard.encode() == encode_section(endpoints)


def test_large_objects_are_kept_as_they_are() -> None:
    shard, pair = Shard("tls"), StoredCertificate(cert_file="c", key_file="k")
    shard.put("n/a", pair, "certificates")
    shard.put("default", TLSOptions(), "options")
    whole = TLSShard(certificates={"n/a": pair}, options={"default": TLSOptions()})
    assert shard.encode() == encode_section(whole)
    assert not shard.put("n/a", StoredCertificate(cert_file="c", key_file="k"), "certificates")


@pytest.mark.parametrize("section", ["routing", "tls"])
def test_only_what_differs_is_a_difference(section: str) -> None:
    member, one, other = {
        "routing": ("routers", Router(rule="a", service="s"), Router(rule="b", service="s")),
        "tls": ("options", TLSOptions(), TLSOptions(min_version="VersionTLS13")),
    }[section]
    shard = Shard(section)
    seen = [shard.put("x", value, member) for value in (None, one, one, other, None, None)]
    assert seen == [False, True, False, True, True, False]
    assert not shard
