"""Headers: CORS around custom headers around security headers, each only if it is asked for.

On the response they act from the inside: security headers replace what the server sent, custom headers replace
both, CORS headers all three.
"""

from __future__ import annotations

from config.middlewares_responses import Headers
from workers.building import BuildError
from workers.exchange import Handler
from workers.middlewares.base import Context, Wrap
from workers.middlewares.cors import CORS, uses_cors
from workers.middlewares.custom_headers import RequestHeaders, ResponseHeaders, with_custom_headers
from workers.middlewares.security_headers import SecurityHeaders, uses_security


def headers(options: Headers, context: Context) -> Wrap:
    """Raises BuildError where nothing at all is asked for."""
    wraps: list[Wrap] = []
    if uses_security(options):
        wraps.append(SecurityHeaders(options).wrap)
    if options.custom_request_headers or options.custom_response_headers:
        requests = RequestHeaders(options.custom_request_headers)
        wraps.append(with_custom_headers(requests, ResponseHeaders(options.custom_response_headers, context)))
    if uses_cors(options):
        wraps.append(CORS(options).wrap)
    if not wraps:
        raise BuildError("headers configuration not valid")

    def wrap(handler: Handler) -> Handler:
        for one in wraps:
            handler = one(handler)
        return handler

    return wrap
