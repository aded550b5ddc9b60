"""Turns a freshly copied disk into this node: ordered tasks, each of which may be cut short and run again."""
