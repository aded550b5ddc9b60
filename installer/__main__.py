"""`python3 -m installer VERB`, on any machine; `slipway-install VERB` on the image."""

import sys

from installer.cli import main

if __name__ == "__main__":
    sys.exit(main())
