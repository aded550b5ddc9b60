"""Builds the ISO and the netboot bundle. Runs on the build host with nothing but Python and apt."""
