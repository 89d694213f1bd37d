"""Every static option that Traefik 3.7 has, as data: what an unknown name might have been meant to be.

One line a section: its path, then its options. `*` stands for a name the user chooses (or a list index), a
word with `@` for a group of options spelled out once below. An option listed here that our structs lack is
refused with its full path rather than called unknown, and never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

_GROUPS: Final = {
    "@tls": "tls.ca tls.cert tls.key tls.insecureSkipVerify",
    "@labels": "addEntryPointsLabels addRoutersLabels addServicesLabels",
    "@otlp": """
        http.endpoint http.headers.* http.tls.ca http.tls.cert http.tls.key http.tls.insecureSkipVerify
        grpc.endpoint grpc.headers.* grpc.tls.ca grpc.tls.cert grpc.tls.key grpc.tls.insecureSkipVerify
        grpc.insecure
    """,
    "@store": "endpoints password rootKey username",
    "@docker": """
        allowEmptyServices constraints defaultRule endpoint exposedByDefault httpClientTimeout network
        password useBindPortIP username watch
    """,
    "@kubernetes": "certAuthFilePath endpoint labelSelector namespaces throttleDuration token",
    "@ingress": """
        allowEmptyServices allowExternalNameServices crossProviderNamespaces disableClusterScopeResources
        ingressClass nativeLBByDefault
    """,
}

_SECTIONS: Final = """
accessLog: addInternals bufferingSize dualOutput filePath format
accessLog.fields: defaultMode names.* headers.defaultMode headers.names.* queryParameters.defaultMode
accessLog.filters: minDuration retryAttempts statusCodes
accessLog.otlp: serviceName resourceAttributes.* @otlp
api: basePath dashboard dashboardName debug disableDashboardAd insecure
certificatesResolvers.*: tailscale
certificatesResolvers.*.acme: caCertificates caServer caServerName caSystemCertPool certificateTimeout
certificatesResolvers.*.acme: certificatesDuration clientResponseHeaderTimeout clientTimeout disableCommonName
certificatesResolvers.*.acme: eab.hmacEncoded eab.kid email emailAddresses httpChallenge.delay keyType
certificatesResolvers.*.acme: httpChallenge.entryPoint preferredChain profile storage tlsChallenge.delay
certificatesResolvers.*.acme.dnsChallenge: delayBeforeCheck disablePropagationCheck provider resolvers
certificatesResolvers.*.acme.dnsChallenge.propagation: delayBeforeChecks disableANSChecks disableChecks
certificatesResolvers.*.acme.dnsChallenge.propagation: requireAllRNS
core: defaultRuleSyntax strictTLSOptions
entryPoints.*: address allowACMEByPass asDefault http3.advertisedPort reusePort udp.timeout
entryPoints.*: proxyProtocol.insecure proxyProtocol.trustedIPs
entryPoints.*.forwardedHeaders: addXForwardedSchemeHeaders connection insecure trustedIPs
entryPoints.*.forwardedHeaders: notAppendXForwardedFor
entryPoints.*.http: aliasHeadersStrategy encodeQuerySemicolons maxHeaderBytes middlewares sanitizePath
entryPoints.*.http: tls.certResolver tls.domains.*.main tls.domains.*.sans tls.options
entryPoints.*.http: underscoreHeadersStrategy
entryPoints.*.http.encodedCharacters: allowEncodedBackSlash allowEncodedHash allowEncodedNullCharacter
entryPoints.*.http.encodedCharacters: allowEncodedPercent allowEncodedQuestionMark allowEncodedSemicolon
entryPoints.*.http.encodedCharacters: allowEncodedSlash
entryPoints.*.http.redirections.entryPoint: permanent priority scheme to
entryPoints.*.http2: maxConcurrentStreams maxDecoderHeaderTableSize maxEncoderHeaderTableSize
entryPoints.*.observability: accessLogs metrics traceVerbosity tracing
entryPoints.*.transport: keepAliveMaxRequests keepAliveMaxTime
entryPoints.*.transport.lifeCycle: graceTimeOut requestAcceptGraceTimeout
entryPoints.*.transport.respondingTimeouts: idleTimeout readTimeout writeTimeout
experimental: abortOnPluginFailure fastProxy.debug knative kubernetesGateway kubernetesIngressNGINX otlpLogs
experimental.localPlugins.*: moduleName settings.envs settings.mounts settings.useUnsafe
experimental.plugins.*: hash moduleName settings.envs settings.mounts settings.useUnsafe version
global: checkNewVersion notAppendXForwardedFor sendAnonymousUsage
hostResolver: cnameFlattening resolvConfig resolvDepth
log: compress filePath format level maxAge maxBackups maxSize noColor
log.otlp: serviceName resourceAttributes.* @otlp
metrics: addInternals
metrics.datadog: address prefix pushInterval @labels
metrics.influxDB2: additionalLabels.* address bucket org pushInterval token @labels
metrics.otlp: explicitBoundaries pushInterval resourceAttributes.* serviceName @labels @otlp
metrics.prometheus: buckets entryPoint headerLabels.* manualRouting @labels
metrics.statsD: address prefix pushInterval @labels
ocsp: responderOverrides.*
ping: entryPoint manualRouting terminatingStatusCode
providers: plugin.*.* precedence providersThrottleDuration
providers.consul: endpoints namespaces rootKey token @tls
providers.consulCatalog: cache connectAware connectByDefault constraints defaultRule exposedByDefault
providers.consulCatalog: namespaces prefix refreshInterval requireConsistent serviceName stale strictChecks
providers.consulCatalog: watch
providers.consulCatalog.endpoint: address datacenter endpointWaitTime scheme token @tls
providers.consulCatalog.endpoint.httpAuth: password username
providers.docker: @docker @tls
providers.ecs: accessKeyID autoDiscoverClusters clusters constraints defaultRule ecsAnywhere exposedByDefault
providers.ecs: healthyTasksOnly refreshSeconds region secretAccessKey
providers.etcd: @store @tls
providers.file: debugLogGeneratedTemplate directory filename watch
providers.http: endpoint headers.* maxResponseBodySize pollInterval pollTimeout @tls
providers.knative: privateEntrypoints privateService.name privateService.namespace @kubernetes
providers.knative: publicEntrypoints publicService.name publicService.namespace
providers.kubernetesCRD: allowCrossNamespace defaultTLSResourcesNamespace safeNaming @ingress @kubernetes
providers.kubernetesGateway: burst crossProviderNamespaces experimentalChannel gateways.*.name @kubernetes
providers.kubernetesGateway: gateways.*.namespace nativeLBByDefault qps
providers.kubernetesGateway.statusAddress: hostname ip service.name service.namespace
providers.kubernetesIngress: disableIngressClassLookup reportNodeInternalIPs strictPrefixMatching
providers.kubernetesIngress: ingressEndpoint.hostname ingressEndpoint.ip ingressEndpoint.publishedService
providers.kubernetesIngress: @ingress @kubernetes
providers.kubernetesIngressNGINX: allowCrossNamespaceResources allowSnippetAnnotations certAuthFilePath
providers.kubernetesIngressNGINX: clientBodyBufferSize controllerClass customHTTPErrors defaultBackendService
providers.kubernetesIngressNGINX: disableSvcExternalName endpoint globalAllowedResponseHeaders globalAuthURL
providers.kubernetesIngressNGINX: httpEntryPoint httpsEntryPoint ingressClass ingressClassByName
providers.kubernetesIngressNGINX: ipAllowListStrategy.depth ipAllowListStrategy.excludedIPs
providers.kubernetesIngressNGINX: ipAllowListStrategy.ipv6Subnet proxyBodySize proxyBuffering proxyBufferSize
providers.kubernetesIngressNGINX: proxyBuffersNumber proxyConnectTimeout proxyNextUpstream
providers.kubernetesIngressNGINX: proxyNextUpstreamTimeout proxyNextUpstreamTries proxyReadTimeout
providers.kubernetesIngressNGINX: proxyRequestBuffering proxySendTimeout publishService publishStatusAddress
providers.kubernetesIngressNGINX: strictValidatePathType throttleDuration token upstreamKeepaliveTimeout
providers.kubernetesIngressNGINX: watchIngressWithoutClass watchNamespace watchNamespaceSelector
providers.nomad: allowEmptyServices constraints defaultRule exposedByDefault namespaces prefix refreshInterval
providers.nomad: stale throttleDuration watch
providers.nomad.endpoint: address endpointWaitTime region token @tls
providers.redis: db @store @tls
providers.redis.sentinel: latencyStrategy masterName password randomStrategy replicaStrategy
providers.redis.sentinel: useDisconnectedReplicas username
providers.rest: insecure
providers.swarm: refreshSeconds @docker @tls
providers.zookeeper: @store
serversTransport: insecureSkipVerify maxIdleConnsPerHost rootCAs spiffe.ids spiffe.trustDomain
serversTransport.forwardingTimeouts: dialTimeout idleConnTimeout responseHeaderTimeout
spiffe: workloadAPIAddr
tcpServersTransport: dialKeepAlive dialTimeout terminationDelay
tcpServersTransport.tls: insecureSkipVerify rootCAs spiffe.ids spiffe.trustDomain
tracing: addInternals capturedRequestHeaders capturedResponseHeaders globalAttributes.* resourceAttributes.*
tracing: safeQueryParams sampleRate serviceName
tracing.otlp: @otlp
"""

# Options that Traefik itself refuses since its third major version; a prefix stands for all below it.
_REMOVED: Final = """
pilot experimental.http3 tracing.jaeger tracing.zipkin tracing.datadog tracing.instana tracing.haystack
tracing.elastic tracing.spanNameLimit providers.marathon providers.rancher providers.docker.swarmMode
providers.docker.tls.caOptional providers.swarm.tls.caOptional providers.etcd.tls.caOptional
providers.redis.tls.caOptional providers.http.tls.caOptional providers.consul.tls.caOptional
providers.consulCatalog.endpoint.tls.caOptional providers.nomad.endpoint.tls.caOptional
providers.consul.namespace providers.consulCatalog.namespace providers.nomad.namespace
"""

ANY: Final = "*"


class Known:
    """A node of the tree: Traefik's spelling and, by lower-case name, what lies below. A leaf has nothing."""

    __slots__ = ("below", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.below: dict[str, Known] = {}

    def grow(self, path: str) -> None:
        node = self
        for name in path.split("."):
            node = node.below.setdefault(name.lower(), Known(name))

    def step(self, name: str) -> Known | None:
        """The node one name further down; a name that the user chose leads through `*`."""
        return self.below.get(name.lower()) or self.below.get(ANY)

    def leaves(self, prefix: str = "") -> Iterator[str]:
        for child in self.below.values():
            path = f"{prefix}{child.name}"
            if child.below:
                yield from child.leaves(f"{path}.")
            else:
                yield path


def _tree(sections: str) -> Known:
    root = Known("")
    for line in sections.strip().splitlines():
        path, _, options = line.partition(": ")
        for option in options.split():
            for name in _GROUPS.get(option, option).split():
                root.grow(f"{path}.{name}")
    return root


TRAEFIK: Final = _tree(_SECTIONS)
_REMOVED_PATHS: Final = frozenset(path.lower() for path in _REMOVED.split())


def is_removed(path: Sequence[str]) -> bool:
    """True if Traefik had this option, or a section above it, and refuses it today."""
    names = [name.lower() for name in path]
    return any(".".join(names[:length]) in _REMOVED_PATHS for length in range(1, len(names) + 1))


def walk(path: Sequence[str]) -> tuple[list[str], Known]:
    """Follow a path as far as Traefik knows it: (names in its spelling, the last node reached)."""
    node, spelled = TRAEFIK, list[str]()
    for name in path:
        below = node.step(name)
        if below is None:
            break
        node = below
        spelled.append(name if below.name == ANY else below.name)
    return spelled, node
