"""`python -m digitalmask` is the `digitalmask` command."""

import sys

from digitalmask.cli import main

sys.exit(main())
