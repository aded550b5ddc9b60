"""Shared leaf package of the live system and the node. It imports nothing else of Slipway."""
