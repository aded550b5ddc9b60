"""The screens of the wizard, one a module."""
