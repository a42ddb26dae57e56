"""The mix of fibre, radio and satellite on a graph of any size: the cheapest way to serve every site, with a bound that no way undercuts.

`parse` reads an instance, `solve` serves it. Whether an answer is one is said by `kiban.check.mix`, which shares no code with this.
"""

from kiban.design.mix.instance import parse
from kiban.design.mix.search import Incumbent, Result, solve

__all__ = ["Incumbent", "Result", "parse", "solve"]
