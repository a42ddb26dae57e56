"""The papers of the office, one module each: which facts of a plan stand where. The fixed sentences stand in data/papers.

In: a dossier, or a public dossier for those that may leave the office. Out: Papers.
"""
