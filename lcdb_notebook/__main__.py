"""``python -m lcdb_notebook`` is ``lcdb-notebook``."""

import sys

from lcdb_notebook.cli import main

if __name__ == "__main__":
    sys.exit(main())
