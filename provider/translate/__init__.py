"""From objects in the store to dynamic configuration and findings."""
