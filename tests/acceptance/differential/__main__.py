"""Two IMAP servers are told the same things; wherever their answers differ, one of them may be wrong.

    python -m tests.acceptance.differential 127.0.0.1:1143:ann:pass 127.0.0.1:143:bob:pass --seconds 60

The users' mail is deleted. Each session has a number, which `--seed` repeats.
"""

from __future__ import annotations

import argparse
import sys

from tests.acceptance.differential.comparing import Peer, run


def main() -> int:
    """The command line; 1 if there are differences that are not known."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    options.add_argument("first", type=Peer.of, help="host:port:user:password")
    options.add_argument("second", type=Peer.of, help="host:port:user:password")
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--seed", type=int, default=0, help="the first session")
    options.add_argument("--sessions", type=int, default=1_000_000)
    options.add_argument("--verbose", action="store_true", help="show every command and answer")
    given = options.parse_args()
    report = run(given.first, given.second, iter(range(given.seed, given.seed + given.sessions)), given.seconds)
    if given.verbose:
        for connection, command in report.trail:
            shown = (each if isinstance(each, bytes) else repr(each)[:40] for each in command)
            sys.stdout.write(f"{connection} {' '.join(map(str, shown))}\n")
    sys.stdout.write(f"{report}\n")
    return 1 if report.differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
