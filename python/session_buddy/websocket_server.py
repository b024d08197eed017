"""`python -m session_buddy.websocket_server`: the server command. See --help."""

import sys

from session_buddy.cli.serve import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
