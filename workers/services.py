"""From service configuration to handlers: load balancers, and services made of services.

A service that cannot be built disables every router that leads to it; nothing is served half. Handlers are
made when a router first asks for them, as the original does, so an unused broken service disturbs nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from config.http import Failover, LoadBalancer, Mirroring, Server, Service, Weighted, WeightedEntry
from config.names import PROVIDER_INTERNAL, provider_of, resolve_reference
from config.units import DurationError, parse_duration
from workers.building import DEEPEST_NESTING, BuildError, levels_above
from workers.exchange import Handler
from workers.middlewares.chains import Chains
from workers.middlewares.statuses import parse_range
from workers.proxy import ServiceHandler
from workers.upstream.composed import (
    Child,
    ErrorFailoverHandler,
    FailoverHandler,
    RendezvousHandler,
    WeightedHandler,
)
from workers.upstream.health import HealthBoard
from workers.upstream.mirroring import Mirror, MirroringHandler
from workers.upstream.monitoring import Monitor
from workers.upstream.servers import Servers
from workers.upstream.strategies import STRATEGIES
from workers.upstream.transport import Transport
from workers.upstream.transports import DEFAULT_TRANSPORT as DEFAULT_TRANSPORT  # noqa: PLC0414
from workers.upstream.transports import TransportBook

_KINDS: Final = ("load_balancer", "weighted", "mirroring", "highest_random_weight", "failover")


class ServiceState:
    """One service of the running configuration: what was asked for and what became of it."""

    __slots__ = (
        "asked",
        "balanced",
        "built",
        "config",
        "errors",
        "handler",
        "levels",
        "middlewares",
        "monitor",
        "name",
        "servers",
    )

    def __init__(self, name: str, config: Service, servers: list[Server]) -> None:
        self.name = name
        self.config = config
        self.servers = servers
        self.built = False
        self.levels = 1
        """Of services made of services, with this one on top."""
        self.handler: Handler | None = None
        self.balanced: ServiceHandler | None = None
        """The load balancer inside of `handler`, if it is one."""
        self.monitor: Monitor | None = None
        self.middlewares: set[str] = set()
        """Qualified names of all that it was built with, or could not be built without."""
        self.asked: set[str] = set()
        """Qualified names of the services that its middlewares lead to."""
        self.errors: list[str] = []

    @property
    def owner(self) -> str:
        """As what it has its middlewares."""
        return f"service:{self.name}"

    @property
    def transport(self) -> str:
        """Qualified name of the servers transport that a load balancer uses, empty for other services."""
        balancer = self.config.load_balancer
        if balancer is None:
            return ""
        reference = balancer.servers_transport
        return resolve_reference(reference, self.name) if reference else DEFAULT_TRANSPORT

    @property
    def is_checked(self) -> bool:
        """Is it configured to watch its servers?"""
        balancer = self.config.load_balancer
        return balancer is not None and (
            balancer.health_check is not None or balancer.passive_health_check is not None
        )

    def children(self) -> list[str]:
        """Qualified names of the services this one sends requests to."""
        return [resolve_reference(name, self.name) for name in references(self.config)] + list(self.asked)

    def swapped(self, servers: list[Server]) -> Swap | None:
        """What it takes to give the living service other servers; None if it has to be built, or built again.

        One that was not built yet may be by the very change that brings the servers: it must not begin with the
        old ones.
        """
        if self.balanced is None:
            return None
        assert self.config.load_balancer is not None
        before = self.balanced.balancer
        make, passive = Servers.renewed, None
        if self.monitor is not None:  # which asks for them in the one go that must not take long
            make, passive = Servers, self.monitor.passive
        try:
            fresh = make(self.name, self.config.load_balancer, servers, before, passive)
        except BuildError:
            return None
        return Swap(self, servers, fresh)

    def __repr__(self) -> str:
        return f"<ServiceState {self.name} {'; '.join(self.errors) or 'ok'}>"


class Swap(NamedTuple):
    """Other servers for a service that lives on."""

    state: ServiceState
    servers: list[Server]
    fresh: Servers

    def carry_out(self) -> None:
        state = self.state
        state.servers = self.servers
        assert state.balanced is not None
        state.balanced.balancer = self.fresh
        if state.monitor is not None:
            state.monitor.refresh()


def references(config: Service) -> Iterator[str]:
    """The services that a service made of services names, as written."""
    if config.weighted is not None:
        yield from (entry.name for entry in config.weighted.services)
    if config.highest_random_weight is not None:
        yield from (entry.name for entry in config.highest_random_weight.services)
    if config.mirroring is not None:
        yield config.mirroring.service
        yield from (mirror.name for mirror in config.mirroring.mirrors)
    if config.failover is not None:
        yield config.failover.service
        yield config.failover.fallback


class ServiceBuilder:
    """Builds the handlers of one configuration; transports, health and the internal handlers outlive it."""

    def __init__(
        self,
        states: Mapping[str, ServiceState],
        internal: Callable[[str], Handler | str],
        transports: TransportBook,
        chains: Chains,
        health: HealthBoard,
    ) -> None:
        self._states = states
        self._chains = chains
        self._internal = internal
        self._transports = transports
        self._health = health

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
        if len(above) >= DEEPEST_NESTING:  # before the stack ends
            raise BuildError(
                f"could not instantiate service {above[0]}: more than {DEEPEST_NESTING} services in each other"
            )
        if not state.built:
            self._build(state, (*above, name))
        if state.handler is None:
            raise BuildError(state.errors[-1])
        if above:
            parent = self._states[above[-1]]
            parent.levels = levels_above(parent.name, parent.levels, state.levels)
        return state.handler

    def _internal_handler(self, name: str) -> Handler:
        found = self._internal(name)
        if isinstance(found, str):
            raise BuildError(found)
        return found

    def _build(self, state: ServiceState, above: tuple[str, ...]) -> None:
        try:
            handler = self._make(state, above)
            state.handler = self._chained(state, handler, above)
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
        match config:
            case Service(weighted=Weighted() as weighted):
                return self._weighted(state.name, weighted, above)
            case Service(mirroring=Mirroring() as mirroring):
                return self._mirroring(state.name, mirroring, above)
            case Service(failover=Failover() as failover):
                return self._failover(state.name, failover, above)
            case Service(load_balancer=LoadBalancer() as balancer):
                state.balanced = self._load_balancer(state, balancer)
                return state.balanced
        assert config.highest_random_weight is not None
        return RendezvousHandler(
            [self._child(state.name, entry, above) for entry in config.highest_random_weight.services]
        )

    def _chained(self, state: ServiceState, handler: Handler, above: tuple[str, ...]) -> Handler:
        def service(name: str) -> Handler:
            state.asked.add(name)
            return self.handler(name, above)

        wrap = self._chains.build(state.config.middlewares, state.owner, state.name, service, state.middlewares)
        return wrap(handler) if wrap is not None else handler

    def _load_balancer(self, state: ServiceState, config: LoadBalancer) -> ServiceHandler:
        if config.strategy not in STRATEGIES:
            raise BuildError(f'unsupported load-balancer strategy "{config.strategy}"')
        transport, interval = self._transport(state), _flush_interval(config)
        handlers: list[ServiceHandler] = []
        if state.is_checked:
            state.monitor = Monitor(state.name, config, transport, self._health, lambda: handlers[0].balancer)
        passive = state.monitor.passive if state.monitor is not None else None
        servers = Servers(state.name, config, state.servers, passive=passive)
        handlers.append(
            ServiceHandler(
                state.name,
                servers,
                transport,
                pass_host_header=config.pass_host_header,
                flush_interval_seconds=interval,
            )
        )
        seen = state.config.observability
        if seen is not None and seen.metadata is not None:
            handlers[0].source = seen.metadata.kubernetes
        return handlers[0]

    def _transport(self, state: ServiceState) -> Transport:
        try:
            return self._transports.find(state.transport)
        except BuildError as error:
            first = f"for server URL {state.servers[0].url}: getting RoundTripper: " if state.servers else ""
            raise BuildError(f"error building proxy {first}{error}") from error

    def _weighted(self, name: str, config: Weighted, above: tuple[str, ...]) -> Handler:
        children = []
        for entry in config.services:
            try:
                children.append(self._child(name, entry, above))
            except BuildError as error:
                raise BuildError(f'building HTTP service "{entry.name}": {error}') from error
        return WeightedHandler(name, children, config.sticky.cookie if config.sticky is not None else None)

    def _child(self, name: str, entry: WeightedEntry, above: tuple[str, ...]) -> Child:
        handler = self.handler(resolve_reference(entry.name, name), above)
        return Child(entry.name, handler, 1 if entry.weight is None else entry.weight)

    def _mirroring(self, name: str, config: Mirroring, above: tuple[str, ...]) -> Handler:
        main = self.handler(resolve_reference(config.service, name), above)
        mirrors = []
        for mirror in config.mirrors:
            handler = self.handler(resolve_reference(mirror.name, name), above)
            if not 0 <= mirror.percent <= 100:
                raise BuildError("percent must be between 0 and 100")
            mirrors.append(Mirror(mirror.name, handler, mirror.percent))
        limit = -1 if config.max_body_size is None else config.max_body_size
        return MirroringHandler(main, mirrors, with_body=config.mirror_body is not False, limit_bytes=limit)

    def _failover(self, name: str, config: Failover, above: tuple[str, ...]) -> Handler:
        main = self.handler(resolve_reference(config.service, name), above)
        is_up = self._state_of(resolve_reference(config.service, name))
        errors = config.errors if config.errors is not None and config.errors.status else None
        if errors is None and is_up is None:
            raise BuildError(
                f"cannot register {config.service} as updater for {name}: "
                "healthCheck not enabled in config for this WRR service"
            )
        fallback = self.handler(resolve_reference(config.fallback, name), above)
        if errors is not None:
            try:
                ranges = [parse_range(text) for text in errors.status]
            except BuildError as error:
                raise BuildError(
                    f"error creating failover service {name}: creating HTTP code ranges: {error}"
                ) from error
            limit = errors.max_request_body_bytes
            return ErrorFailoverHandler(main, fallback, ranges, limit, is_up or (lambda: True))
        assert is_up is not None
        return FailoverHandler(main, fallback, is_up)

    def _state_of(self, name: str) -> Callable[[], bool] | None:
        """Tells whether the service is up; None if it does not watch that."""
        state = self._states.get(name)
        balancer = state.config.load_balancer if state is not None else None
        if state is None or state.balanced is None or balancer is None or balancer.health_check is None:
            return None
        handler = state.balanced
        return lambda: handler.balancer.is_up


def _flush_interval(config: LoadBalancer) -> float:
    forwarding = config.response_forwarding
    text = forwarding.flush_interval if forwarding else ""
    try:
        return parse_duration(text) if text else 0.1
    except DurationError as error:
        raise BuildError(f"error creating flush interval: {error}") from error
