"""A generation holds what was written, and anything else is refused."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import generation as g
from config import generation_layout as layout
from config.findings import Finding
from config.generation_writing import write_generation
from config.http import LoadBalancer, Router, Server, Service
from config.shape import Shape
from tests.config.test_shape import everything

META = g.SectionKey("meta", 0)
ROUTING = g.SectionKey("routing", 7)
ENDPOINTS = g.SectionKey("endpoints", 7)
SHARD = g.RoutingShard(
    routers={"r@kubernetescrd": Router(rule="Host(`a`)", service="s", priority=-3)},
    services={"s@kubernetescrd": Service(load_balancer=LoadBalancer(pass_host_header=False))},
)


def written(number: int = 3, **sections: object) -> int:
    values = {META: g.Meta(number=number, created_unix_seconds=1.5), ROUTING: SHARD}
    rows = []
    for key, value in values.items():
        body = g.encode_section(value)
        rows.append((key, body, g.digest_of(body)))
    return write_generation(number, rows)


@contextmanager
def opened(descriptor: int) -> Iterator[g.Generation]:
    try:
        with g.Generation(descriptor) as generation:
            yield generation
    finally:
        os.close(descriptor)


def content_of(descriptor: int) -> bytearray:
    return bytearray(os.pread(descriptor, os.fstat(descriptor).st_size, 0))


def sealed(content: bytes | bytearray, seals: int = layout.REQUIRED_SEALS) -> int:
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, content)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def read_all(descriptor: int) -> None:
    with opened(descriptor) as generation:
        for key in generation.sections:
            generation.read(key)


def refused(descriptor: int) -> str:
    with pytest.raises(g.GenerationRefused) as caught:
        read_all(descriptor)
    return str(caught.value)


def test_written_and_read() -> None:
    with opened(written(9)) as generation:
        assert generation.number == 9
        assert generation.read(ROUTING) == SHARD
        assert generation.read(META).number == 9


def test_nothing_can_change_it_afterwards() -> None:
    descriptor = written()
    for change in (lambda: os.write(descriptor, b"x"), lambda: os.ftruncate(descriptor, 0)):
        with pytest.raises(PermissionError):
            change()
    os.close(descriptor)


@pytest.mark.parametrize(
    "missing", [fcntl.F_SEAL_WRITE, fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_GROW, fcntl.F_SEAL_SEAL]
)
def test_a_missing_seal_is_refused(missing: int) -> None:
    descriptor = written()
    content = content_of(descriptor)
    os.close(descriptor)
    assert "not sealed" in refused(sealed(content, layout.REQUIRED_SEALS & ~missing))


def test_a_plain_file_is_refused(tmp_path: os.PathLike[str]) -> None:
    descriptor = os.open(os.path.join(tmp_path, "f"), os.O_RDWR | os.O_CREAT)
    os.write(descriptor, bytes(4096))
    assert refused(descriptor)


def test_another_layout_is_refused() -> None:
    descriptor = written()
    content = content_of(descriptor)
    os.close(descriptor)
    content[8] += 1
    assert refused(sealed(content)) == f"layout {g.LAYOUT + 1} where {g.LAYOUT} is understood"


@given(st.data())
def test_one_flipped_byte_is_refused(data: st.DataObject) -> None:
    descriptor = written()
    content = content_of(descriptor)
    os.close(descriptor)
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    assert refused(sealed(content))


@given(st.integers(min_value=1, max_value=400))
def test_a_cut_tail_is_refused(cut: int) -> None:
    descriptor = written()
    content = content_of(descriptor)
    os.close(descriptor)
    assert refused(sealed(bytes(content[:-cut])))


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused(content: bytes) -> None:
    assert refused(sealed(content))


def test_a_section_of_another_shape_is_refused() -> None:
    meta = g.encode_section(g.Meta(number=1, created_unix_seconds=0))
    body = g.encode_section({"routers": {"r": {"priority": "high"}}})
    descriptor = write_generation(1, [(META, meta, g.digest_of(meta)), (ROUTING, body, g.digest_of(body))])
    assert "section routing" in refused(descriptor)


def test_without_meta_it_is_refused() -> None:
    body = g.encode_section(SHARD)
    assert "no meta" in refused(write_generation(1, [(ROUTING, body, g.digest_of(body))]))


def test_a_fabricated_table_is_refused() -> None:
    body, meta = g.encode_section(SHARD), g.encode_section(g.Meta(number=1, created_unix_seconds=0))
    needed, unknown = (META, meta, g.digest_of(meta)), g.SectionKey("secrets", 0)
    assert "unknown section" in refused(write_generation(1, [needed, (unknown, body, g.digest_of(body))]))
    assert "section meta/0 appears twice" in refused(write_generation(1, [needed] * 2))
    twice = [(g.SectionKey("routing", 7), body, g.digest_of(body))] * 2
    assert "twice" in refused(write_generation(1, [needed, *twice]))


def test_equal_values_give_equal_bytes() -> None:
    one = g.RoutingShard(routers={"a": Router(rule="x"), "b": Router(rule="y")})
    two = g.RoutingShard(routers={"b": Router(rule="y"), "a": Router(rule="x")})
    assert g.encode_section(one) == g.encode_section(two)


@given(st.dictionaries(st.text(max_size=5), st.lists(st.builds(Server, url=st.text(), fenced=st.booleans()))))
def test_endpoints_round_trip(shard: g.EndpointsShard) -> None:
    assert g.decode_section("endpoints", g.encode_section(shard)) == shard


@pytest.mark.parametrize(("section", "shape"), [("routing", g.RoutingShard), ("tls", g.TLSShard)])
def test_every_kind_of_object_round_trips(section: str, shape: type[Shape]) -> None:
    shard = everything(shape)
    assert g.decode_section(section, g.encode_section(shard)) == shard


def test_a_field_of_a_later_version_is_skipped() -> None:
    later = {"routers": {"r@kubernetescrd": {"rule": "x", "later": [1]}}, "laterRouters": {"r": {}}}
    shard = g.RoutingShard(routers={"r@kubernetescrd": Router(rule="x")})
    assert g.decode_section("routing", g.encode_section(later)) == shard


def test_findings_round_trip() -> None:
    finding = Finding(
        kind="IngressRoute",
        namespace="n",
        name="a",
        severity="error",
        reason="ServiceNotFound",
        message="the Service n/x does not exist",
        field="spec.routes[0].services[0].name",
        advice="create it",
    )
    assert g.decode_section("findings", g.encode_section([finding])) == [finding]
    assert str(finding) == (
        "IngressRoute n/a spec.routes[0].services[0].name: the Service n/x does not exist (create it)"
    )


@given(st.text())
def test_every_name_has_a_shard(name: str) -> None:
    assert 0 <= g.shard_of(name) < g.SHARD_COUNT
