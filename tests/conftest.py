"""What holds for all tests."""

from __future__ import annotations

import signal
import threading

from hypothesis import HealthCheck, settings

# No test says how fast it has to be: machines are shared.
settings.register_profile("landfall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("landfall")

# A shell starts what runs in its background with Ctrl-C ignored, and so would run all that a test starts.
_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
if _ignored and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
