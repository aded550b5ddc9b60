"""The VM lab: QEMU machines as context managers, for tests that boot the ISO and installed nodes."""
