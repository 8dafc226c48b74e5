"""A child that dies with its parent, even when the parent is killed with SIGKILL.

    python -m tidegate.runtime.lifeline PARENT_PID LIFELINE_FD MODULE [ARGUMENT...]

runs MODULE as `python -m MODULE` would, after tying its life to the parent's. On Linux the kernel does it
(`PR_SET_PDEATHSIG`). Elsewhere LIFELINE_FD, the reading end of a pipe whose writing end only the parent holds, reaches
its end when the parent is gone; a thread waits for that. A parent that is gone already ends the child at once.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PARENT_GONE_EXIT = 75  # EX_TEMPFAIL: the work may be tried again under a new parent


def die_with_parent(parent_pid: int, lifeline_fd: int, *, has_prctl: bool = sys.platform == "linux") -> None:
    """End this process when `parent_pid` ends. Call once, from the main thread, before any work.

    has_prctl: False takes the portable way, a thread on the pipe.
    """
    if has_prctl:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    else:
        threading.Thread(target=_wait_for_end, args=(lifeline_fd,), name="lifeline", daemon=True).start()
    if os.getppid() != parent_pid:
        os._exit(PARENT_GONE_EXIT)


def _wait_for_end(lifeline_fd: int) -> None:
    os.read(lifeline_fd, 1)  # nothing is ever written: this returns when the last writer is gone
    os._exit(PARENT_GONE_EXIT)


def main() -> None:
    parent_pid, lifeline_fd, module, *arguments = sys.argv[1:]
    die_with_parent(int(parent_pid), int(lifeline_fd))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
