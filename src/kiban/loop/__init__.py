"""The story, one file per step: issue → needs → options → design → verdict.

This room calls several engines and holds no formula, no SQL and no HTML. What each step says is a PlanStep; every number goes into the ledger.
"""
