"""The region 地域: official files in, a folder that a clerk edits in Excel, and the Region record that the engines read.

`read` turns a folder into a Region, `write` a Region into a folder, `build` official files into a folder. What cannot be placed
is never dropped silently: it becomes a Missing record with a name, a reason and whom to ask.
"""

from kiban.region.build import Given, build
from kiban.region.folder import read
from kiban.region.head import Detour
from kiban.region.write import write

__all__ = ["Detour", "Given", "build", "read", "write"]
