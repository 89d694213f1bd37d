"""Nothing secret is printed, everything else is."""

import re

import pytest

from config.http import LoadBalancer, Service
from config.layer4 import TCPServersTransport, TLSClientConfig
from config.masking import MASK, SECRET_FIELDS, printable
from config.middlewares import Chain, Middleware
from config.middlewares_auth import BasicAuth, ClientTLS, DigestAuth, ForwardAuth
from config.middlewares_responses import Errors
from config.middlewares_traffic import RateLimit, Redis
from config.shape import Shape
from config.tls import Certificate, StoredCertificate, TLSStore
from tests.config.test_shape import SHAPES

SECRET = "do not print"
HARMLESS = {("Headers", "public_key"), ("RateLimit", "redis")}


@pytest.mark.parametrize(
    "value",
    [
        Middleware(basic_auth=BasicAuth(users=[SECRET])),
        Middleware(digest_auth=DigestAuth(users=[SECRET])),
        Middleware(forward_auth=ForwardAuth(tls=ClientTLS(cert="c", key=SECRET))),
        Middleware(rate_limit=RateLimit(redis=Redis(password=SECRET, tls=ClientTLS(key=SECRET)))),
        Middleware(plugin={"demo": {"a": SECRET, "b": [{"c": [SECRET]}]}}),
        StoredCertificate(cert_file="c", key_file=SECRET),
        TLSStore(default_certificate=Certificate(cert_file="c", key_file=SECRET)),
        TCPServersTransport(tls=TLSClientConfig(certificates=[Certificate(key_file=SECRET)])),
    ],
)
def test_masked(value: Shape) -> None:
    assert SECRET not in str(printable(value))
    assert MASK in str(printable(value))
    assert SECRET in str(printable(value, masked=False))


@pytest.mark.behaviour("OP-36")
@pytest.mark.parametrize("shape", SHAPES)
def test_no_field_that_sounds_secret_was_forgotten(shape: type[Shape]) -> None:
    secret = SECRET_FIELDS.get(shape, frozenset())
    for name in shape.__struct_fields__:
        if re.search(r"(^|_)(key|password|users?|username|token|secret|plugin)(_|$)", name):
            assert name in secret or (shape.__name__, name) in HARMLESS


def test_every_secret_field_exists() -> None:
    for shape, names in SECRET_FIELDS.items():
        assert names <= set(shape.__struct_fields__)


def test_the_rest_is_printed_as_the_original_does() -> None:
    assert printable(Middleware(errors=Errors(status=["500"], error_request_headers=[]))) == {
        "errors": {"status": ["500"]}
    }
    assert printable(Middleware(chain=Chain())) == {"chain": {}}
    assert printable(Service(load_balancer=LoadBalancer(pass_host_header=False))) == {
        "loadBalancer": {"passHostHeader": False}
    }
    plugin = {"demo": {"a": [], "n": 1, "b": {"c": None}}}
    assert printable(Middleware(plugin=plugin), masked=False) == {"plugin": plugin}
    assert printable(Middleware(plugin=plugin)) == {"plugin": plugin}
