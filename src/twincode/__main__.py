"""``python -m twincode``, and ``torchrun -m twincode``."""

import sys

from twincode.cli import main

sys.exit(main())
