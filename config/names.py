"""Names of configuration objects, built and split only here.

Traefik's naming is part of its contract with users: metrics, access logs, sticky cookies and references from
other providers all show these names, so they are reproduced to the letter (rule hash included).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_NORMAL: Final = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")

PROVIDER_CRD: Final = "kubernetescrd"
PROVIDER_INGRESS: Final = "kubernetes"
PROVIDER_INTERNAL: Final = "internal"


def normalize(text: str) -> str:
    """Join the runs of Unicode letters and numbers in `text` by single dashes; case is kept.

    >>> normalize("a--b__c..d")
    'a-b-c-d'
    """
    if _NORMAL.fullmatch(text):
        return text  # nearly every Kubernetes name
    pieces = "".join(char if _is_word(char) else " " for char in text).split(" ")
    return "-".join(piece for piece in pieces if piece)


def _is_word(char: str) -> bool:
    # str.isnumeric covers the Unicode number classes (Nd, Nl, No) and some letters, which are words anyway.
    return char.isalpha() or char.isnumeric()


def object_id(namespace: str, name: str) -> str:
    """`namespace-name`, or the bare name where the namespace is empty. Not normalized."""
    return f"{namespace}-{name}" if namespace else name


def rule_hash(rule: str) -> str:
    """First 20 hex digits of SHA-256 over the rule text exactly as the user wrote it.

    >>> rule_hash("Host(`example.com`)")
    'c6f977443c7bb29d98b0'
    """
    return hashlib.sha256(rule.encode()).hexdigest()[:20]


def http_router_name(namespace: str, name: str, rule: str) -> str:
    """Key of an HTTP router made from one route of an IngressRoute."""
    return normalize(f"{object_id(namespace, name)}-{rule_hash(rule)}")


def tcp_router_name(namespace: str, name: str, rule: str) -> str:
    """Key of a TCP router made from one route of an IngressRouteTCP. Unlike HTTP's it keeps dots.

    >>> tcp_router_name("default", "test.route", "HostSNI(`foo.com`)")
    'default-test.route-fdd3e9338e47a45efefc'
    """
    return object_id(namespace, f"{name}-{rule_hash(rule)}")


def udp_router_name(namespace: str, name: str, index: int) -> str:
    """Key of a UDP router; `index` counts the routes of its IngressRouteUDP from 0. Not normalized."""
    return object_id(namespace, f"{name}-{index}")


def layer4_child_name(router: str, service: str, port: int | str) -> str:
    """Key of one of several TCP or UDP services of a route; the port is spelled as written. Not normalized."""
    return f"{router}-{service}-{port}"


def qualify(name: str, provider: str) -> str:
    """`name@provider`; a name that carries a provider already is returned as it is."""
    return name if "@" in name else f"{name}@{provider}"


def provider_of(qualified: str) -> str:
    """The part behind the last `@`, empty if there is none."""
    return qualified.rpartition("@")[2] if "@" in qualified else ""


def resolve_reference(reference: str, holder: str) -> str:
    """Qualified form of a reference found in `holder` (itself qualified): bare names stay in its provider."""
    return qualify(reference, provider_of(holder))
