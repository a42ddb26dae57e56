"""The design engine: from needs, places and prices to a costed mix with a proven bound.

`program.build` makes a Problem, `solve` a Design of it, `explain.explain` says why. Pure functions: no file, no clock but the time limit, no
randomness but the seed.
"""

from kiban.design.solve import solve

__all__ = ["solve"]
