"""First process of the lab's PID namespace: when it ends, the kernel ends everything in the lab.

Makes the mounts that keep the lab apart from the machine, says that it is ready, reaps children.
"""

import os
import signal
import subprocess
import sys


def main() -> None:
    ready = int(sys.argv[1])
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for folder in ("/run/wye", "/run/wye-ns"):
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "wye-lab", folder], check=True)
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.write(ready, b"ready\n")
    os.close(ready)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.sigtimedwait([signal.SIGCHLD], 1)


main()
