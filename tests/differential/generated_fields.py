"""Random specs of the custom resources, from the structs that describe them.

Every field of every kind is drawn at some time; POOLS says what may stand in a field whose values matter, and the
others get a few texts and numbers. Values that would make the API server or the original's decoder refuse a whole
collection are left out, since there is nothing to compare then.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

Strategy = st.SearchStrategy[Any]

TEXTS: Final = st.sampled_from(["", "a", "x-y", "ü", "A b", "/p", "0"])
INTEGERS: Final = st.sampled_from([0, 1, 2, -1, 5, 300, 70000])
DURATIONS: Final = st.sampled_from(
    ["", "10s", 5, 0, "1h30m", "1.5s", "250ms", "100", "-1s", "10m5", "bad", "1us", "0", "0s", -3, "1m0.5s", " 1s"]
)
STATUSES: Final = st.lists(st.sampled_from(["500", "502-504", "404", "200,201", "5xx", "600-500"]), max_size=3)
HEADERS: Final = st.dictionaries(st.sampled_from(["X-A", "x-b", "Host"]), st.sampled_from(["", "v"]), max_size=2)
VERSIONS: Final = st.sampled_from(["", "VersionTLS12", "VersionTLS13", "VersionTLS10"])
CIPHERS: Final = st.lists(
    st.sampled_from(["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", "TLS_NONE"]), max_size=2
)
POOLS: Final[Mapping[str, Strategy]] = {
    **dict.fromkeys(
        (
            "interval",
            "unhealthyInterval",
            "timeout",
            "failureWindow",
            "flushInterval",
            "checkPeriod",
            "fallbackDuration",
            "recoveryDuration",
            "initialInterval",
            "period",
            "readTimeout",
            "writeTimeout",
            "dialTimeout",
            "responseHeaderTimeout",
            "idleConnTimeout",
            "readIdleTimeout",
            "pingTimeout",
            "dialKeepAlive",
        ),
        DURATIONS,
    ),
    "flushInterval": DURATIONS.filter(lambda value: isinstance(value, str)),
    "HealthCheck.headers": HEADERS,
    "Errors.status": STATUSES,
    "Retry.status": STATUSES,
    "statusRewrites": st.dictionaries(
        st.sampled_from(["418", "500-599"]), st.sampled_from([200, 404]), max_size=2
    ),
    "sameSite": st.sampled_from(["", "none", "lax", "strict", "Lax"]),
    "percent": st.sampled_from([0, 5, 100, 101, -1]),
    "minVersion": VERSIONS,
    "maxVersion": VERSIONS,
    "cipherSuites": CIPHERS,
    "curvePreferences": st.lists(st.sampled_from(["CurveP256", "X25519", "none"]), max_size=2),
    "clientAuthType": st.sampled_from(
        ["", "NoClientCert", "RequireAndVerifyClientCert", "VerifyClientCertIfGiven"]
    ),
    "alpnProtocols": st.lists(st.sampled_from(["h2", "http/1.1"]), max_size=2),
    "ipv6Subnet": st.sampled_from([0, 64, 129]),
    "traceVerbosity": st.sampled_from(["", "minimal", "detailed", "loud"]),
    "mode": st.sampled_from(["", "http", "grpc", "tcp"]),
    "sourceRange": st.lists(st.sampled_from(["10.0.0.0/8", "1.2.3.4", "nonsense", "::1/64"]), max_size=2),
    "version": st.sampled_from([1, 2]),
}
"""By the name of the field, or by that of its struct and its own."""


def of_struct(struct: type[msgspec.Struct], **pools: Strategy) -> Strategy:
    """Objects with some of the struct's fields. `pools` come before POOLS; `_name` leaves out the field `name`."""
    return _some_of(fields_of(struct, **pools))


def fields_of(struct: type[msgspec.Struct], **pools: Strategy) -> dict[str, Strategy]:
    """The strategy of each of the struct's fields; `pools` as of_struct has them."""
    return {
        name: _of_field(struct, name, type_, pools) for name, type_ in _members(struct) if f"_{name}" not in pools
    }


@st.composite
def _some_of(draw: st.DrawFn, fields: dict[str, Strategy]) -> dict[str, Any]:
    """A few fields of many: an object with all of them has one error that hides the others."""
    names = draw(st.lists(st.sampled_from(sorted(fields)), max_size=6, unique=True)) if fields else []
    return {name: draw(fields[name]) for name in names}


def _of_field(
    struct: type[msgspec.Struct], name: str, type_: inspect.Type, pools: Mapping[str, Strategy]
) -> Strategy:
    for known in (pools, POOLS):
        for key in (f"{struct.__name__}.{name}", name):
            if key in known:
                return known[key]
    return _of_type(type_, pools)


def _of_type(type_: inspect.Type, pools: Mapping[str, Strategy]) -> Strategy:
    match type_:
        case inspect.Metadata():
            return _of_type(type_.type, pools)
        case inspect.UnionType():
            present = [one for one in type_.types if not isinstance(one, inspect.NoneType)]
            return _of_type(present[0], pools)
        case inspect.ListType():
            return st.lists(_of_type(type_.item_type, pools), max_size=2)
        case inspect.DictType():
            return st.dictionaries(TEXTS, _of_type(type_.value_type, pools), max_size=2)
        case inspect.StructType():
            return of_struct(type_.cls, **pools)
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            return INTEGERS
        case _:
            return TEXTS


@functools.cache
def _members(struct: type[msgspec.Struct]) -> tuple[tuple[str, inspect.Type], ...]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return tuple((field.encode_name, field.type) for field in info.fields)
