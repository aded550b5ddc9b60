"""The interactive installer: screens over one controller. `page` tells how a screen is made."""
