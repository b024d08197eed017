"""`python -m session_buddy.websocket-server`: the server command, under the module name in the API documentation."""  # noqa: N999

import sys

from session_buddy.cli.serve import main

if __name__ == "__main__":
    sys.exit(main())
