"""locket, as its README says. Without a timeout it waits in the kernel."""

import locket


def lock(path):
    return locket.lock_file(path)
