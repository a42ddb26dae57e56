"""`python -m kiban` is the command `kiban`."""

import sys

from kiban.cli import main

sys.exit(main())
