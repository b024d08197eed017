"""`python -m session_buddy`: the command `session-buddy`."""

import sys

from session_buddy.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
