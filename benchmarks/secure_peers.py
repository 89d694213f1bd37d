"""Pointsman and Traefik as in peers.py, for clients with TLS."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from benchmarks.peers import pointsman, traefik
from benchmarks.setting import Peer, Setting


def secure_pointsman(setting: Setting) -> list[str] | None:
    """With the setting's certificate in a Secret, or with the one that the proxy makes for itself."""
    command = pointsman(setting)
    path = setting.folder / "manifests" / "bench.json"
    objects: dict[str, Any] = json.loads(path.read_text())
    objects["items"][0]["spec"]["tls"] = {}
    if setting.certificate is not None:
        objects["items"][0]["spec"]["tls"] = {"secretName": "pair"}
        objects["items"].append(tls_secret("pair", *setting.certificate))
    path.write_text(json.dumps(objects))
    return command


def tls_secret(name: str, chain: bytes, key: bytes) -> dict[str, Any]:
    """A Secret of type kubernetes.io/tls."""
    data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}


def secure_traefik(setting: Setting) -> list[str] | None:
    """The same with a certificate from files."""
    command = traefik(setting)
    if command is None:
        return None
    path = setting.folder / "dynamic.yaml"
    dynamic: dict[str, Any] = json.loads(path.read_text())
    for router in dynamic["http"]["routers"].values():
        router["tls"] = {}
    if setting.certificate is not None:
        dynamic["tls"] = {"certificates": [certificate_files(setting.folder, *setting.certificate)]}
    path.write_text(json.dumps(dynamic))
    return command


def certificate_files(folder: Path, chain: bytes, key: bytes) -> dict[str, str]:
    """Written to the folder; names as the file provider wants them."""
    files = {}
    for name, content in (("certFile", chain), ("keyFile", key)):
        file = folder / name
        file.write_bytes(content)
        files[name] = str(file)
    return files


PEERS = (Peer("pointsman", secure_pointsman), Peer("traefik", secure_traefik))
