"""``python -m sweep``: the same as the console script ``sweep``."""

from sweep.cli import main

main()
