"""filelock, as its documentation says. It tries again every 50 ms, which is its default."""

import filelock


def lock(path):
    return filelock.FileLock(path)
