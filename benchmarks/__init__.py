"""Pointsman beside its peers, measured in one run. Loopback only; every process started here is ended here."""
