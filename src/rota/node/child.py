"""The first lines of every process that rota starts. Run as a script, by path: ``child.py PARENT SIGNAL MODULE [LABEL…]``.

By path, so that nothing of rota or of its libraries is imported yet: that takes a tenth of a second, in which the parent may
die unnoticed. The kernel is asked to send ``SIGNAL`` to this process when its parent ends (the *thread* that started it: so
parents start children from their main thread only). A parent that died before that is noticed by its process id.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, number: int) -> None:
    """Ask the kernel to signal this process when its parent ends; end at once if it has ended already.

    Does nothing where there is no such call (macOS): there, workers of a killed supervisor go on until they are closed.

    Args:
        parent: The process id of who started this one.
        number: The signal.
    """
    if sys.platform == "linux":
        import ctypes  # The standard library has no other way to it.

        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:
        signal.raise_signal(number)


def main() -> int:
    """Tie this process to its parent, then run ``main()`` of the module that was named."""
    die_with_parent(int(sys.argv[1]), int(sys.argv[2]))
    code: int = import_module(sys.argv[3]).main()
    return code


if __name__ == "__main__":
    sys.exit(main())
