"""Bodies in `application/vnd.kubernetes.protobuf` -> the objects that JSON would have carried.

Go clients of built-in kinds prefer this format for what they send: Traefik for the status of an Ingress,
kubectl for `create namespace`. Answers are always JSON, which they accept. Only kinds that such clients
write are in the table; fields they never set are left out of it. Numbers are those of the `generated.proto`
files of k8s.io/api and k8s.io/apimachinery.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .errors import Json

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

# message: field=number:type. [type] is repeated, {type} a map by text, a type with ! is kept when it is zero,
# and a field whose name begins with @ is a message whose fields belong to the enclosing object.
_SCHEMA = """
Unknown: typeMeta=1:TypeMeta raw=2:raw
TypeMeta: apiVersion=1:text kind=2:text

ObjectMeta: name=1:text generateName=2:text namespace=3:text uid=5:text resourceVersion=6:text
    generation=7:number creationTimestamp=8:time deletionTimestamp=9:time
    deletionGracePeriodSeconds=10:number labels=11:{text} annotations=12:{text}
    ownerReferences=13:[OwnerReference] finalizers=14:[text]
OwnerReference: kind=1:text name=3:text uid=4:text apiVersion=5:text controller=6:flag!
    blockOwnerDeletion=7:flag!
DeleteOptions: gracePeriodSeconds=1:number! preconditions=2:Preconditions propagationPolicy=4:text
    dryRun=5:[text]
Preconditions: uid=1:text resourceVersion=2:text

Namespace: metadata=1:ObjectMeta spec=2:NamespaceSpec status=3:NamespaceStatus
NamespaceSpec: finalizers=1:[text]
NamespaceStatus: phase=1:text
ConfigMap: metadata=1:ObjectMeta data=2:{text} binaryData=3:{bytes} immutable=4:flag!
Secret: metadata=1:ObjectMeta data=2:{bytes} type=3:text stringData=4:{text} immutable=5:flag!

Service: metadata=1:ObjectMeta spec=2:ServiceSpec status=3:ServiceStatus
ServiceSpec: ports=1:[ServicePort] selector=2:{text} clusterIP=3:text type=4:text externalIPs=5:[text]
    sessionAffinity=7:text loadBalancerIP=8:text loadBalancerSourceRanges=9:[text] externalName=10:text
    externalTrafficPolicy=11:text healthCheckNodePort=12:number publishNotReadyAddresses=13:flag
    ipFamilyPolicy=17:text clusterIPs=18:[text] ipFamilies=19:[text] allocateLoadBalancerNodePorts=20:flag!
    loadBalancerClass=21:text internalTrafficPolicy=22:text trafficDistribution=23:text
ServicePort: name=1:text protocol=2:text port=3:number targetPort=4:IntOrString nodePort=5:number
    appProtocol=6:text
IntOrString: type=1:number intVal=2:number strVal=3:text
ServiceStatus: loadBalancer=1:LoadBalancerStatus
LoadBalancerStatus: ingress=1:[LoadBalancerIngress]
LoadBalancerIngress: ip=1:text hostname=2:text ipMode=3:text ports=4:[PortStatus]
PortStatus: port=1:number protocol=2:text error=3:text

Ingress: metadata=1:ObjectMeta spec=2:IngressSpec status=3:IngressStatus
IngressSpec: defaultBackend=1:IngressBackend tls=2:[IngressTLS] rules=3:[IngressRule] ingressClassName=4:text
IngressTLS: hosts=1:[text] secretName=2:text
IngressRule: host=1:text @ingressRuleValue=2:IngressRuleValue
IngressRuleValue: http=1:HTTPIngressRuleValue
HTTPIngressRuleValue: paths=1:[HTTPIngressPath]
HTTPIngressPath: path=1:text backend=2:IngressBackend pathType=3:text
IngressBackend: resource=3:TypedLocalObjectReference service=4:IngressServiceBackend
TypedLocalObjectReference: apiGroup=1:text kind=2:text name=3:text
IngressServiceBackend: name=1:text port=2:ServiceBackendPort
ServiceBackendPort: name=1:text number=2:number
IngressStatus: loadBalancer=1:IngressLoadBalancerStatus
IngressLoadBalancerStatus: ingress=1:[IngressLoadBalancerIngress]
IngressLoadBalancerIngress: ip=1:text hostname=2:text ports=4:[IngressPortStatus]
IngressPortStatus: port=1:number protocol=2:text error=3:text

EndpointSlice: metadata=1:ObjectMeta endpoints=2:[Endpoint] ports=3:[EndpointPort] addressType=4:text
Endpoint: addresses=1:[text] conditions=2:EndpointConditions hostname=3:text targetRef=4:ObjectReference
    nodeName=6:text zone=7:text
EndpointConditions: ready=1:flag! serving=2:flag! terminating=3:flag!
EndpointPort: name=1:text! protocol=2:text port=3:number appProtocol=4:text
ObjectReference: kind=1:text namespace=2:text name=3:text uid=4:text apiVersion=5:text
    resourceVersion=6:text fieldPath=7:text

Lease: metadata=1:ObjectMeta spec=2:LeaseSpec
LeaseSpec: holderIdentity=1:text! leaseDurationSeconds=2:number acquireTime=3:microtime
    renewTime=4:microtime leaseTransitions=5:number! strategy=6:text preferredHolder=7:text
Event: metadata=1:ObjectMeta involvedObject=2:ObjectReference reason=3:text message=4:text
    source=5:EventSource firstTimestamp=6:time lastTimestamp=7:time count=8:number type=9:text
    eventTime=10:microtime action=12:text reportingComponent=14:text reportingInstance=15:text
EventSource: component=1:text host=2:text
"""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: str
    repeated: bool
    mapped: bool
    keep_zero: bool


def _field(text: str) -> tuple[int, _Field]:
    name, _, rest = text.partition("=")
    number, _, kind = rest.partition(":")
    return int(number), _Field(name, kind.strip("[]{}!"), kind[0] == "[", kind[0] == "{", kind[-1] == "!")


def _messages(schema: str) -> dict[str, dict[int, _Field]]:
    joined = schema.replace("\n    ", " ")
    lines = [line.partition(":") for line in joined.splitlines() if line]
    return {name: dict(map(_field, fields.split())) for name, _, fields in lines}


_MESSAGES = _messages(_SCHEMA)


def decode(body: bytes) -> Json:
    """The object in a request body, with apiVersion and kind. Raises `ValueError` for anything else."""
    if not body.startswith(_MAGIC):
        raise ValueError("the body does not begin as a Kubernetes protobuf message does")
    try:
        envelope = _message("Unknown", body[len(_MAGIC) :])
        kind = envelope["typeMeta"]["kind"]
        if kind not in _MESSAGES:
            raise ValueError(f"no protobuf schema for {kind}")
        return {**envelope["typeMeta"], **_message(kind, envelope.get("raw", b""))}
    except (IndexError, KeyError) as error:
        raise ValueError(f"broken protobuf message: {error!r}") from error


def _message(name: str, data: bytes) -> Json:
    fields = _MESSAGES[name]
    found: Json = {}
    for number, raw in _wire_fields(data):
        field = fields.get(number)
        if field is None:
            continue
        if field.mapped:
            key, value = _map_entry(field.type, raw)
            found.setdefault(field.name, {})[key] = value
            continue
        value = _value(field.type, raw)
        if field.repeated:
            found.setdefault(field.name, []).append(value)
        elif field.name.startswith("@"):
            found.update(value)
        elif field.keep_zero or value not in ("", 0, None):
            found[field.name] = value
    return found


def _map_entry(value_type: str, raw: Any) -> tuple[str, Any]:
    parts = dict(_wire_fields(raw))
    return _value("text", parts.get(1, b"")), _value(value_type, parts.get(2, b""))


def _value(kind: str, raw: Any) -> Any:
    match kind:
        case "text":
            return raw.decode()
        case "number":
            return raw - (1 << 64) if raw >= 1 << 63 else raw
        case "flag":
            return bool(raw)
        case "raw":
            return raw
        case "bytes":
            return base64.b64encode(raw).decode()
        case "time" | "microtime":
            return _time(dict(_wire_fields(raw)), micro=kind == "microtime")
        case "IntOrString":
            union = _message(kind, raw)
            return union.get("strVal", "") if union.get("type") else union.get("intVal", 0)
    return _message(kind, raw)


def _time(parts: dict[int, Any], *, micro: bool) -> str | None:
    seconds = parts.get(1)
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(_value("number", seconds), UTC)
    fraction = f".{parts.get(2, 0) // 1000:06}" if micro else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _wire_fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers with an int for varints and bytes for everything else."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire_type = tag & 7
        if wire_type == 0:
            value, position = _varint(data, position)
            yield tag >> 3, value
            continue
        if wire_type == 2:
            length, position = _varint(data, position)
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"unknown wire type {wire_type}")
        if position + length > len(data):
            raise ValueError("a field is longer than its message")
        yield tag >> 3, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
