"""Run the tools of the package: ``python -m snowplow_tracker --help``."""

import sys

from snowplow_tracker._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
