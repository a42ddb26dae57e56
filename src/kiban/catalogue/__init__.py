"""The data files: technologies, use cases, standard models, offers, cases, rules, traffic and words.

In: YAML files of the package and of a region's own folder. Out: a Catalogue of checked records. What they mean together is other rooms' matter.
"""

from kiban.catalogue.catalogue import Catalogue, Level, Link
from kiban.catalogue.kinds import KINDS, Kind
from kiban.catalogue.reader import PACKAGE_DATA, load
from kiban.catalogue.words import Words, words

__all__ = ["KINDS", "PACKAGE_DATA", "Catalogue", "Kind", "Level", "Link", "Words", "load", "words"]
