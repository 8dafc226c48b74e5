"""Which endpoints may serve a call, in which order, and why: pure. A call, facts and live state in, a plan out."""
