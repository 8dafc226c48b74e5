"""The ledger: journal, rows, seal, evidence chain, rollups, import and export.

`journal.py` is the hot path's own and imports neither DuckDB nor anything slow; `store.py` is where others begin.
"""
