"""The nouns of kiban as frozen records; no input or output, no behaviour beyond reading oneself.

Types are checked at decode by msgspec; ranges, units and ids in __post_init__ through `records.rules`.
"""
