"""The market book: published claims as they were stated, what is wrong in them, and the series they carry."""
