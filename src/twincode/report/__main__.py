"""``python -m twincode.report RESULTS DOCS`` writes the results chapter: see ``make results``."""

import sys
from pathlib import Path

from twincode.errors import TwincodeError
from twincode.report.chapter import write_chapter

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m twincode.report RESULTS DOCS")
    try:
        write_chapter(Path(sys.argv[1]), Path(sys.argv[2]))
    except TwincodeError as error:
        sys.exit(f"error: {error}")
