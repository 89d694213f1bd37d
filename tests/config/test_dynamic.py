"""The whole configuration, object by object."""

import msgspec
import pytest

from config.dynamic import SECTIONS, Configuration, NamedObject, configuration_of, objects_in, objects_of
from config.generation import RoutingShard, TLSShard
from config.http import HTTPConfiguration, Router, Service
from config.layer4 import TCPConfiguration, TCPRouter, UDPConfiguration
from config.middlewares import Middleware
from config.middlewares_paths import AddPrefix
from config.shape import Shape
from config.tls import StoredCertificate, TLSConfiguration, TLSOptions

PARTS: dict[str, type[Shape]] = {
    "http": HTTPConfiguration,
    "tcp": TCPConfiguration,
    "udp": UDPConfiguration,
    "tls": TLSConfiguration,
}
WHOLE = Configuration(
    http=HTTPConfiguration(
        routers={"b": Router(rule="Host(`b`)"), "a": Router(rule="Host(`a`)")},
        middlewares={"m": Middleware(add_prefix=AddPrefix(prefix="/x"))},
    ),
    tcp=TCPConfiguration(routers={"t": TCPRouter(rule="HostSNI(`*`)")}),
    tls=TLSConfiguration(options={"default": TLSOptions(sni_strict=True)}),
)


def test_every_map_is_a_section() -> None:
    named = {(section.part, section.map) for section in SECTIONS.values()}
    assert named == {(part, name) for part, shape in PARTS.items() for name in shape.__struct_fields__}


@pytest.mark.parametrize("section", SECTIONS)
def test_rows_agree_with_the_structs(section: str) -> None:
    row = SECTIONS[section]
    fields = {field.name: field for field in msgspec.structs.fields(PARTS[row.part])}
    assert section == f"{row.part}.{fields[row.map].encode_name}"
    assert fields[row.map].type == dict[str, row.type]  # type: ignore[name-defined]


def test_every_section_travels_in_a_generation() -> None:
    carried: set[tuple[object, ...]] = set()
    for shard in (RoutingShard, TLSShard):
        carried |= {field.type.__args__ for field in msgspec.structs.fields(shard)}
    assert carried == {(str, section.type) for section in SECTIONS.values()}


def test_objects_in_order() -> None:
    assert [(one.section, one.name) for one in objects_of(WHOLE)] == [
        ("http.routers", "a"),
        ("http.routers", "b"),
        ("http.middlewares", "m"),
        ("tcp.routers", "t"),
        ("tls.options", "default"),
    ]
    assert objects_in(WHOLE, "http.services") == {}
    with pytest.raises(KeyError):
        objects_in(WHOLE, "http.models")


def test_taken_apart_and_put_together() -> None:
    assert configuration_of(objects_of(WHOLE)) == WHOLE
    assert configuration_of(()) == Configuration()


def test_the_later_of_two_wins() -> None:
    one, two = Router(rule="1"), Router(rule="2")
    made = configuration_of([NamedObject("http.routers", "r", one), NamedObject("http.routers", "r", two)])
    assert made.http.routers == {"r": two}


@pytest.mark.parametrize(
    ("section", "value"),
    [("http.routers", Service()), ("tcp.routers", Router()), ("tls.stores", StoredCertificate())],
)
def test_wrong_type(section: str, value: Shape) -> None:
    with pytest.raises(TypeError, match=section):
        configuration_of([NamedObject(section, "x", value)])


def test_names_in_rawdata() -> None:
    assert [section.rawdata for section in SECTIONS.values() if section.rawdata] == [
        *("routers", "services", "middlewares", "tcpRouters", "tcpServices", "tcpMiddlewares"),
        *("udpRouters", "udpServices"),
    ]
