"""Servers: choosing one, connecting to it, keeping the connection."""
