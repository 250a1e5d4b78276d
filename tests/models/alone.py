"""Run pytest in the process that was forked for one test; see ``conftest.py``."""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
from typing import Any

if __name__ == "__main__":
    # Searching what the parent has imported for garbage would take as long as the test.
    gc.freeze()
    job: Any = globals()["JOB"]
    # That of the test that is run, not of the first one that was.
    os.environ.clear()
    os.environ.update(job["environment"])
    with job["output"].open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    # Shows where it waits, before it is killed; pytest captures what is written to 2 itself.
    faulthandler.dump_traceback_later(job["patience"], file=os.dup(2))

    import pytest

    sys.exit(int(pytest.main(job["arguments"])))
