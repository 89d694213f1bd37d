"""From service configuration to handlers: load balancers, weighted trees, the internal ones.

A service that cannot be built disables every router that leads to it; nothing is served half. Handlers are
made when a router first asks for them, as the original does, so an unused broken service disturbs nobody.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

from config.http import LoadBalancer, Server, Service, Weighted
from config.names import PROVIDER_INTERNAL, provider_of, resolve_reference
from config.units import DurationError, parse_duration
from workers.building import BuildError
from workers.errors import NO_SERVER
from workers.exchange import Exchange, Handler
from workers.middlewares.chains import Chains
from workers.proxy import ServiceHandler
from workers.upstream.balancer import WeightedRoundRobin
from workers.upstream.transport import Transport, UpstreamServer

DEFAULT_TRANSPORT: Final = "default@internal"
STRATEGIES: Final = ("", "wrr")
_NOT_YET: Final = "is not served by this version of Pointsman"

_KINDS: Final = {
    "load_balancer": "loadBalancer",
    "weighted": "weighted",
    "mirroring": "mirroring",
    "highest_random_weight": "highestRandomWeight",
    "failover": "failover",
}
_KINDS_NOT_YET: Final = ("mirroring", "highest_random_weight", "failover")


class ServiceState:
    """One service of the running configuration: what was asked for and what became of it."""

    __slots__ = ("balanced", "built", "config", "errors", "handler", "middlewares", "name", "servers")

    def __init__(self, name: str, config: Service, servers: list[Server]) -> None:
        self.name = name
        self.config = config
        self.servers = servers
        self.built = False
        self.handler: Handler | None = None
        self.balanced: ServiceHandler | None = None
        """The load balancer inside of `handler`, if it is one."""
        self.middlewares: set[str] = set()
        """Qualified names of all that it was built with, or could not be built without."""
        self.errors: list[str] = []

    def children(self) -> list[str]:
        """Qualified names of the services this one sends requests to."""
        weighted = self.config.weighted
        return [resolve_reference(entry.name, self.name) for entry in weighted.services] if weighted else []

    def __repr__(self) -> str:
        return f"<ServiceState {self.name} {'; '.join(self.errors) or 'ok'}>"


class ServiceBuilder:
    """Builds the handlers of one configuration; `transports` and the internal handlers outlive it."""

    def __init__(
        self,
        states: Mapping[str, ServiceState],
        internal: Callable[[str], Handler | str],
        transports: Mapping[str, Transport],
        chains: Chains,
    ) -> None:
        self._states = states
        self._chains = chains
        self._internal = internal
        self._transports = transports

    def handler(self, name: str, above: tuple[str, ...] = ()) -> Handler:
        """Handler of the qualified service `name`. Raises BuildError with the text for the API."""
        if provider_of(name) == PROVIDER_INTERNAL:
            return self._internal_handler(name)
        state = self._states.get(name)
        if state is None:
            raise BuildError(f'the service "{name}" does not exist')
        if name in above:
            path = "->".join(f"service:{one}" for one in (*above, name))
            self._fail(state, f"could not instantiate service {name}: recursion detected in {path}")
        if not state.built:
            self._build(state, (*above, name))
        if state.handler is None:
            raise BuildError(state.errors[-1])
        return state.handler

    def _internal_handler(self, name: str) -> Handler:
        found = self._internal(name)
        if isinstance(found, str):
            raise BuildError(found)
        return found

    def _build(self, state: ServiceState, above: tuple[str, ...]) -> None:
        try:
            state.handler = self._make(state, above)
        except BuildError as error:
            if str(error) not in state.errors:
                state.errors.append(str(error))
        state.built = True

    def _fail(self, state: ServiceState, message: str) -> None:
        if message not in state.errors:
            state.errors.append(message)
        raise BuildError(message)

    def _make(self, state: ServiceState, above: tuple[str, ...]) -> Handler:
        config = state.config
        kinds = [name for name in _KINDS if getattr(config, name) is not None]
        if not kinds:
            raise BuildError(f'the service "{state.name}" does not have any type defined')
        if len(kinds) > 1:
            raise BuildError(
                "cannot create service: multi-types service not supported, "
                "consider declaring two different pieces of service instead"
            )
        if kinds[0] in _KINDS_NOT_YET:
            raise BuildError(f"{_KINDS[kinds[0]]} {_NOT_YET}")
        if config.weighted is not None:
            handler = self._weighted(state.name, config.weighted, above)
        else:
            assert config.load_balancer is not None
            handler = state.balanced = self._load_balancer(state, config.load_balancer)
        wrap = self._chains.build(
            config.middlewares,
            f"service:{state.name}",
            state.name,
            lambda name: self.handler(name, above),
            state.middlewares,
        )
        return wrap(handler) if wrap is not None else handler

    def _load_balancer(self, state: ServiceState, config: LoadBalancer) -> ServiceHandler:
        if config.strategy not in STRATEGIES:
            known = config.strategy in ("p2c", "hrw", "leasttime")
            raise BuildError(
                f'load-balancer strategy "{config.strategy}" {_NOT_YET}'
                if known
                else f'unsupported load-balancer strategy "{config.strategy}"'
            )
        return ServiceHandler(
            state.name,
            server_balancer(state.servers),
            self._transport(state, config.servers_transport),
            pass_host_header=config.pass_host_header,
            flush_interval_seconds=_flush_interval(config),
        )

    def _transport(self, state: ServiceState, reference: str) -> Transport:
        name = resolve_reference(reference, state.name) if reference else DEFAULT_TRANSPORT
        transport = self._transports.get(name)
        if transport is None:
            first = f"for server URL {state.servers[0].url}: getting RoundTripper: " if state.servers else ""
            raise BuildError(f"error building proxy {first}servers transport not found {name}")
        return transport

    def _weighted(self, name: str, config: Weighted, above: tuple[str, ...]) -> Handler:
        entries: list[tuple[Handler, int]] = []
        for entry in config.services:
            child = resolve_reference(entry.name, name)
            try:
                entries.append((self.handler(child, above), 1 if entry.weight is None else entry.weight))
            except BuildError as error:
                raise BuildError(f'building HTTP service "{entry.name}": {error}') from error
        return WeightedHandler(WeightedRoundRobin(entries))


class WeightedHandler:
    """Sends each request to one of several services by weight; a zero weight gets nothing."""

    __slots__ = ("_balancer",)

    def __init__(self, balancer: WeightedRoundRobin[Handler]) -> None:
        self._balancer = balancer

    def __call__(self, exchange: Exchange) -> None:
        handler = self._balancer.pick()
        if handler is None:
            exchange.respond_error(NO_SERVER)
        else:
            handler(exchange)


def server_balancer(servers: list[Server]) -> WeightedRoundRobin[UpstreamServer]:
    """Round robin over the unfenced servers, shuffled so that workers do not march in step.

    Raises BuildError for a URL that cannot be used.
    """
    entries = []
    for server in servers:
        try:
            upstream = UpstreamServer(server.url)
        except ValueError as error:
            raise BuildError(f"error parsing server URL {server.url}: {error}") from error
        if not server.fenced:
            entries.append((upstream, 1 if server.weight is None else server.weight))
    random.shuffle(entries)
    return WeightedRoundRobin(entries)


def _flush_interval(config: LoadBalancer) -> float:
    forwarding = config.response_forwarding
    text = forwarding.flush_interval if forwarding else ""
    try:
        return parse_duration(text) if text else 0.1
    except DurationError as error:
        raise BuildError(f"error creating flush interval: {error}") from error
