"""What translation needs to know of a provider's settings, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

from config.naming import DEFAULT_NAMING, SAFE_NAMING, Naming
from provider.environment import Environment


class ProviderSettings(Protocol):
    """The part of the static configuration that shapes translation and that both providers have."""

    @property
    def namespaces(self) -> list[str]: ...
    @property
    def ingress_class(self) -> str: ...
    @property
    def allow_empty_services(self) -> bool: ...
    @property
    def allow_external_name_services(self) -> bool: ...
    @property
    def native_lb_by_default(self) -> bool: ...
    @property
    def disable_cluster_scope_resources(self) -> bool: ...
    @property
    def cross_provider_namespaces(self) -> list[str] | None: ...


class CustomResourceSettings(ProviderSettings, Protocol):
    """`providers.kubernetesCRD`."""

    @property
    def allow_cross_namespace(self) -> bool: ...
    @property
    def default_tls_resources_namespace(self) -> str: ...
    @property
    def safe_naming(self) -> bool: ...


class IngressSettings(ProviderSettings, Protocol):
    """`providers.kubernetesIngress`."""

    @property
    def disable_ingress_class_lookup(self) -> bool: ...
    @property
    def strict_prefix_matching(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationOptions:
    """Names and defaults as Traefik's; `section` is where users set them.

    `namespaces` empty means all. `cross_provider_namespaces`: None lets every namespace write
    `name@provider`, an empty tuple none.
    """

    section: str = "providers.kubernetesCRD"
    namespaces: frozenset[str] = frozenset()
    ingress_class: str = ""
    allow_empty_services: bool = False
    allow_cross_namespace: bool = False
    allow_external_name_services: bool = False
    native_lb_by_default: bool = False
    disable_cluster_scope_resources: bool = False
    cross_provider_namespaces: frozenset[str] | None = None
    default_rule_syntax: str = "v3"
    default_tls_resources_namespace: str = ""
    safe_naming: bool = False
    disable_ingress_class_lookup: bool = False
    strict_prefix_matching: bool = False
    environment: Environment | None = None
    """None: entry points, and what other providers have, are not known and not judged."""

    @classmethod
    def of(cls, settings: CustomResourceSettings, default_rule_syntax: str = "v3") -> Self:
        common = cls._common(settings, default_rule_syntax)
        return replace(
            common,
            allow_cross_namespace=settings.allow_cross_namespace,
            default_tls_resources_namespace=settings.default_tls_resources_namespace,
            safe_naming=settings.safe_naming,
        )

    @classmethod
    def of_ingress(cls, settings: IngressSettings, default_rule_syntax: str = "v3") -> Self:
        return replace(
            cls._common(settings, default_rule_syntax),
            section="providers.kubernetesIngress",
            disable_ingress_class_lookup=(
                settings.disable_ingress_class_lookup or settings.disable_cluster_scope_resources
            ),
            strict_prefix_matching=settings.strict_prefix_matching,
        )

    @classmethod
    def _common(cls, settings: ProviderSettings, default_rule_syntax: str) -> Self:
        across = settings.cross_provider_namespaces
        return cls(
            namespaces=frozenset(settings.namespaces),
            ingress_class=settings.ingress_class,
            allow_empty_services=settings.allow_empty_services,
            allow_external_name_services=settings.allow_external_name_services,
            native_lb_by_default=settings.native_lb_by_default,
            disable_cluster_scope_resources=settings.disable_cluster_scope_resources,
            cross_provider_namespaces=None if across is None else frozenset(across),
            default_rule_syntax=default_rule_syntax,
        )

    @property
    def naming(self) -> Naming:
        """How what custom resources give is named."""
        return SAFE_NAMING if self.safe_naming else DEFAULT_NAMING

    def watches(self, namespace: str) -> bool:
        """Whether objects of the namespace can be seen at all."""
        return not self.namespaces or namespace in self.namespaces

    def takes_class(self, value: str) -> bool:
        """Whether an object that asks for ingress class `value` is ours."""
        return value == self.ingress_class if self.ingress_class else value in ("", "traefik")
