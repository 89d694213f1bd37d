"""The static structs: Traefik's names on the wire, defaults, and the copy for other processes."""

from __future__ import annotations

import msgspec
import pytest

from config.static import (
    API,
    HTTP,
    Address,
    AddressError,
    EncodedCharacters,
    EntryPoint,
    KubernetesCRD,
    Log,
    Ping,
    Providers,
    StaticConfiguration,
    decode_static,
    default_entry_points,
    encode_static,
    parse_address,
)
from config.static_shape import option_name


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("address", "address"),
        ("read_timeout_seconds", "readTimeout"),
        ("grace_time_out_seconds", "graceTimeOut"),
        ("trusted_ips", "trustedIPs"),
        ("native_lb_by_default", "nativeLBByDefault"),
        ("kubernetes_crd", "kubernetesCRD"),
        ("global_", "global"),
        ("not_append_x_forwarded_for", "notAppendXForwardedFor"),
    ],
)
def test_names_are_traefiks(attribute: str, name: str) -> None:
    assert option_name(attribute) == name


def test_defaults_are_traefiks() -> None:
    point, static = EntryPoint(), StaticConfiguration()
    timeouts = point.transport.responding_timeouts
    assert (
        timeouts.read_timeout_seconds,
        timeouts.write_timeout_seconds,
        timeouts.idle_timeout_seconds,
    ) == (60, 0, 180)
    assert point.transport.life_cycle.grace_time_out_seconds == 10
    assert (point.http.sanitize_path, point.http.max_header_bytes) == (True, 1048576)
    assert point.http.encoded_characters is None
    assert static.providers.providers_throttle_duration_seconds == 2
    assert (static.api, static.ping, static.log.level) == (None, None, "ERROR")
    assert static.servers_transport.max_idle_conns_per_host == 200
    assert (API().dashboard, API().base_path, Ping().entry_point) == (True, "/", "traefik")


def test_another_process_gets_an_equal_copy() -> None:
    static = StaticConfiguration(
        entry_points={
            "web": EntryPoint(address="[::1]:8000", http=HTTP(encoded_characters=EncodedCharacters())),
            "admin": EntryPoint(address=":0", as_default=True),
        },
        providers=Providers(kubernetes_crd=KubernetesCRD(cross_provider_namespaces=[])),
        ping=Ping(),
        log=Log(level="DEBUG"),
        workers=3,
    )
    copy = decode_static(encode_static(static))
    assert copy == static
    assert copy.providers.kubernetes_crd is not None
    assert copy.providers.kubernetes_crd.cross_provider_namespaces == []


def test_foreign_bytes_are_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_static(b"\x93\x01\x02\x03")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":80", Address("", 80, "tcp")),
        ("127.0.0.1:8080/tcp", Address("127.0.0.1", 8080, "tcp")),
        (":53/UDP", Address("", 53, "udp")),
        ("[::1]:443", Address("::1", 443, "tcp")),
        ("[fe80::1%eth0]:0/TCP", Address("fe80::1%eth0", 0, "tcp")),
        ("localhost:65535", Address("localhost", 65535, "tcp")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    point = EntryPoint(address=text)
    assert (point.host, point.port, point.protocol) == address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing port"),
        ("80", "missing port"),
        ("localhost", "missing port"),
        (":", "invalid port ''"),
        (":http", "invalid port 'http'"),
        (":65536", "invalid port '65536'"),
        (":-1", "invalid port '-1'"),
        (":٨٠", "invalid port"),
        ("::1:80", "put an IPv6 host in brackets"),
        ("[::1]", r"must be written \[IPv6\]:port"),
        ("[::1:80", r"must be written \[IPv6\]:port"),
        (":80/sctp", "invalid protocol 'sctp'"),
        (":80/", "invalid protocol ''"),
    ],
)
def test_malformed_addresses(text: str, message: str) -> None:
    with pytest.raises(AddressError, match=message):
        parse_address(text)


def test_routers_without_entry_points_attach_to_all_but_traefik() -> None:
    points = {name: EntryPoint(address=":0") for name in ("web", "traefik", "metrics")}
    points["dns"] = EntryPoint(address=":0/udp")
    assert default_entry_points(StaticConfiguration(entry_points=points)) == ["metrics", "web"]


def test_marked_entry_points_are_the_only_defaults() -> None:
    points = {
        "web": EntryPoint(address=":0"),
        "traefik": EntryPoint(address=":0", as_default=True),
        "b": EntryPoint(address=":0", as_default=True),
        "dns": EntryPoint(address=":0/udp", as_default=True),
    }
    assert default_entry_points(StaticConfiguration(entry_points=points)) == ["b", "traefik"]
