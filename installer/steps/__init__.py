"""The steps of an installation. Each describes what it will do, then does it."""
