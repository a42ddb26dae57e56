"""What every room shares: errors, units, yen, Japanese dates, municipality codes, settings, clock, progress.

Imports nothing of ours.
"""
