"""Other towns' cases: found by words and by the size of the town, stopped ones first."""

from kiban.cases.library import Found, Library
from kiban.cases.people import number_of
from kiban.cases.search import Hit, Search

__all__ = ["Found", "Hit", "Library", "Search", "number_of"]
