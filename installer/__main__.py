"""`python3 -m installer VERB`, on any machine; `slipway-install VERB` on the image."""

import sys

try:
    from installer.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"python: the module {error.name} is missing; run `make venv` and use .venv/bin/python")

if __name__ == "__main__":
    sys.exit(main())
