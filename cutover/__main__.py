"""`python -m cutover`."""

import signal

from cutover.cli import main

if __name__ == "__main__":
    try:
        main()
    finally:
        # All has been said; a late Ctrl-C would only add a traceback of the interpreter's end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
