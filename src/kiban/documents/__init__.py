"""Papers out of records: the view that pages and papers share, and the files of a plan as bytes.

Imports records, the catalogue and base only. No number is computed here; amounts are only rounded for printing.
"""
