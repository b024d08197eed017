"""`python -m session_buddy.websocket-server`: the server from a shell, under the name of the API documentation."""  # noqa: N999

import sys

from session_buddy.cli.serve import main

if __name__ == "__main__":
    sys.exit(main())
