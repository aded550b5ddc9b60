"""The interactive installer: screens over one controller. docs/design.md tells how a screen is added."""
