"""Finds the answer file of this machine: command line, medium, labelled volume, DHCP, DNS (docs/answer-sources.md)."""

from installer.discovery.find import find_answer
from installer.discovery.search import Search, parse_search

__all__ = ["Search", "find_answer", "parse_search"]
