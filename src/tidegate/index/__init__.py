"""A composite index from country data: one file a step, each taking a table and returning a table."""
