"""``python -m twincode``, and ``torchrun -m twincode``."""

from twincode.cli import main

main()
