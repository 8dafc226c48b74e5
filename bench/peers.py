"""Install the other gateways that `make bench` compares with: `python bench/peers.py` (or `make peers`).

Each goes into an environment of its own in the user's cache, at the version pinned in harness/peers.py, from the
registries that pip and npm are configured for. One that cannot be had is named with the reason; the bench goes without.
"""

import sys

from harness.peers import PEERS, install_all

if __name__ == "__main__":
    missing = install_all()
    sys.stdout.write(f"{len(PEERS) - len(missing)} of {len(PEERS)} peers are installed\n")
    sys.exit(0)
