"""``python -m mmlite`` is the command ``mmlite``."""

import sys

from .cli import main

sys.exit(main())
