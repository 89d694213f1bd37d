"""What the CRD says about TraefikService; see `words.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from provider.resources import traefik, traefik_services
from provider.resources.words import FIELDS as COMMON
from provider.resources.words import Words

FIELDS: Final[Mapping[type[msgspec.Struct], Mapping[str, Words]]] = {
    traefik_services.TraefikServiceSpec: {
        "weighted": Words("Shares the requests among services by weight."),
        "mirroring": Words("Sends the requests to one service, and copies of some to others."),
        "highestRandomWeight": Words("Keeps each client address at one of several services."),
        "failover": Words("Lets another service answer when the first one fails."),
    },
    traefik_services.WeightedRoundRobin: {
        "services": Words("The services that share the requests."),
        "sticky": Words("Keep a client at one service; its servers have a sticky of their own."),
    },
    traefik_services.Mirroring: {
        **COMMON[traefik.LoadBalancerSpec],
        "mirrorBody": Words("Copy the body of the request too; true unless set."),
        "maxBodySize": Words("Requests with a larger body, in bytes, are not copied; -1 unless set: no limit."),
        "mirrors": Words("The services that get copies. Their answers are dropped."),
    },
    traefik_services.MirrorService: {
        **COMMON[traefik.LoadBalancerSpec],
        "percent": Words("How many of a hundred requests are copied; 0 unless set."),
    },
    traefik_services.HighestRandomWeight: {
        "services": Words("The services that share the client addresses by weight."),
    },
    traefik_services.Failover: {
        "service": Words("The service that answers as long as it does not fail.", required=True),
        "fallback": Words("The service that answers in its place.", required=True),
        "errors": Words("What counts as failure.", required=True),
    },
    traefik_services.FailoverErrors: {
        "status": Words("Status codes and ranges of codes that count as failure, such as 500-599."),
        "maxRequestBodyBytes": Words("Requests with a larger body are refused (413); -1 unless set: no limit."),
    },
}
