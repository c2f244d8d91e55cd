"""`python -m cutover`."""

import signal
import sys

try:
    from cutover.cli import main
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] == "cutover":
        raise
    # whoever has just cloned this calls it by the system's python, which has none of the packages
    sys.stderr.write(
        f"cutover: the Python package {error.name} is missing. In a virtual environment: pip install "
        "--require-hashes -r requirements.lock; or `make setup`, which says how to call this then\n"
    )
    sys.exit(1)

if __name__ == "__main__":
    try:
        main()
    finally:
        # All has been said; a late Ctrl-C would only add a traceback of the interpreter's end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
