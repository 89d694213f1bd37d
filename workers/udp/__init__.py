"""UDP: routers, services and sessions."""
