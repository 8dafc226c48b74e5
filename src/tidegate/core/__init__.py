"""Values and arithmetic that two or more rooms share. No I/O, no clock, nothing of ours imported."""
