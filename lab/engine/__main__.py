"""`python -m lab.engine ARGS` acts as the `pulumi` executable."""

import sys

from lab.engine.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
