"""``python -m twincode.report RESULTS DOCS`` writes the results chapter: see ``make results``."""

import sys
from pathlib import Path

from twincode.errors import TwincodeError
from twincode.report.chapter import write_chapter

if __name__ == "__main__":
    try:
        write_chapter(*map(Path, sys.argv[1:3]))
    except (TwincodeError, TypeError) as error:
        sys.exit(f"error: {error}")
