"""The folder in which setup keeps what it has built, outside the clone, keyed by what it was built from.

Each thing has a folder of its own, named after its key, which counts only once a file in it says that it is
complete. So a build that was interrupted is never taken for a finished one, and nothing complete is touched.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_COMPLETE = "complete.json"
_LOCK_POLL_SECONDS = 0.2


def folder() -> Path:
    """`$LANDFALL_CACHE`, else `landfall` in the user's cache folder."""
    own = os.environ.get("LANDFALL_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "landfall"


def key(inputs: Mapping[str, bytes]) -> str:
    """A short name for exactly these inputs: any change of a name or a content gives another one."""
    digest = hashlib.sha256()
    for name in sorted(inputs):
        for part in (name.encode(), inputs[name]):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()[:16]


def is_complete(built: Path) -> bool:
    """Whether what lies in this folder was built to its end."""
    return (built / _COMPLETE).is_file()


def build(built: Path, make: Callable[[Path], Mapping[str, str]]) -> None:
    """Have `make` fill the folder, and mark it complete; nothing if it is. An interrupted build's rest goes.

    `make` gives facts to be kept with it (versions, for a person who looks). Call this with `locked` held.
    """
    if is_complete(built):
        return
    shutil.rmtree(built, ignore_errors=True)
    built.mkdir(parents=True)
    facts = make(built)
    unfinished = built / (_COMPLETE + ".new")
    unfinished.write_text(json.dumps(dict(facts), indent=2) + "\n")
    unfinished.rename(built / _COMPLETE)


@contextmanager
def locked(cache: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the cache's lock, which ends with this process; `waiting` is called once if another holds it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("a") as lock:
        told = False
        while not _try_lock(lock.fileno()):
            if not told:
                waiting()
                told = True
            time.sleep(_LOCK_POLL_SECONDS)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
