"""The dynamic configuration as a whole, and its objects by section and name.

A section is a map of one type of object, `http.routers` for instance. SECTIONS is the one table of them; whoever
treats all objects alike (merging, the API, reports) goes through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from config import http, layer4, tls
from config.middlewares import Middleware
from config.shape import Shape


class Configuration(Shape, frozen=True, kw_only=True):
    """Everything one provider says, or all of them together; the names say which (see HTTPConfiguration)."""

    http: http.HTTPConfiguration = http.HTTPConfiguration()
    tcp: layer4.TCPConfiguration = layer4.TCPConfiguration()
    udp: layer4.UDPConfiguration = layer4.UDPConfiguration()
    tls: tls.TLSConfiguration = tls.TLSConfiguration()


class Section(NamedTuple):
    """`part` and `map` are the attributes that lead to it; `rawdata` its key in `/api/rawdata`, if it is there."""

    part: str
    map: str
    type: type[Shape]
    rawdata: str = ""


SECTIONS: Final[Mapping[str, Section]] = {
    "http.routers": Section("http", "routers", http.Router, "routers"),
    "http.services": Section("http", "services", http.Service, "services"),
    "http.middlewares": Section("http", "middlewares", Middleware, "middlewares"),
    "http.serversTransports": Section("http", "servers_transports", http.ServersTransport),
    "tcp.routers": Section("tcp", "routers", layer4.TCPRouter, "tcpRouters"),
    "tcp.services": Section("tcp", "services", layer4.TCPService, "tcpServices"),
    "tcp.middlewares": Section("tcp", "middlewares", layer4.TCPMiddleware, "tcpMiddlewares"),
    "tcp.serversTransports": Section("tcp", "servers_transports", layer4.TCPServersTransport),
    "udp.routers": Section("udp", "routers", layer4.UDPRouter, "udpRouters"),
    "udp.services": Section("udp", "services", layer4.UDPService, "udpServices"),
    "tls.certificates": Section("tls", "certificates", tls.StoredCertificate),
    "tls.options": Section("tls", "options", tls.TLSOptions),
    "tls.stores": Section("tls", "stores", tls.TLSStore),
}


class NamedObject(NamedTuple):
    """`section` is a key of SECTIONS."""

    section: str
    name: str
    value: Shape


def objects_in(configuration: Configuration, section: str) -> Mapping[str, Shape]:
    """One section by name; a KeyError means that there is no such section."""
    row = SECTIONS[section]
    objects: Mapping[str, Shape] = getattr(getattr(configuration, row.part), row.map)
    return objects


def objects_of(configuration: Configuration) -> Iterator[NamedObject]:
    """Every object, in the order of SECTIONS, by name within each."""
    for section in SECTIONS:
        objects = objects_in(configuration, section)
        for name in sorted(objects):
            yield NamedObject(section, name, objects[name])


def configuration_of(objects: Iterable[NamedObject]) -> Configuration:
    """Undo `objects_of`; of two objects with one name the later stays. Raises TypeError for the wrong type."""
    parts: dict[str, dict[str, dict[str, Shape]]] = {}
    for section, name, value in objects:
        row = SECTIONS[section]
        if type(value) is not row.type:
            raise TypeError(f"{section} holds {row.type.__name__}, not {type(value).__name__}")
        parts.setdefault(row.part, {}).setdefault(row.map, {})[name] = value
    whole = Configuration()
    return Configuration(**{part: type(getattr(whole, part))(**maps) for part, maps in parts.items()})
