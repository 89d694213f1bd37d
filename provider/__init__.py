"""The control process: cluster objects and manifest files in, configuration generations out."""
