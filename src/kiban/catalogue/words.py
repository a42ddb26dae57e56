"""Every string of the interface, by key, in one language; a missing key is an error, never an empty label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kiban.base.errors import DataFileError
from kiban.catalogue.catalogue import Catalogue
from kiban.catalogue.convert import near

Words = Callable[..., str]


def words(catalogue: Catalogue, lang: str) -> Words:
    """A function from a key (and the values of its blanks) to the text in one language.

    >>> word = words(Catalogue(words={"ja": {"plan.sites": "{count}地点"}}), "ja")
    >>> word("plan.sites", count=3)
    '3地点'
    """
    texts = catalogue.words.get(lang)
    if texts is None:
        raise DataFileError(f"words/{lang}.yaml", "no such language", f"one of {', '.join(catalogue.words)}", "set KIBAN_LANG to one of them")

    def word(key: str, **blanks: Any) -> str:
        if key not in texts:
            raise DataFileError(f"words/{lang}.yaml", f"no key {key}", "every key that a page uses", near(key, texts) or f"add {key}: in every language")
        return texts[key].format(**blanks) if blanks else texts[key]

    return word
