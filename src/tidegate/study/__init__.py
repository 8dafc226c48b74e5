"""The study: one file per question asked of the rollups. Returns tables, draws nothing."""
