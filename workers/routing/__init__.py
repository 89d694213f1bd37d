"""From rule text to the route that answers a request."""
