"""`python -m mindrestore` is the `mindrestore` command, and this is where either begins."""

from __future__ import annotations

import signal


def command() -> None:
    """Run the `mindrestore` command; Ctrl-C while its modules are loaded ends the process without a traceback."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is to be ignored, as behind nohup
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mindrestore.cli.main import run

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    command()
