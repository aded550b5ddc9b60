"""What runs on a node for good, and the `slipway` command."""
