"""What every benchmark here shares: providers, subjects, load, CPU accounting, the result and its targets.

    load (wrk, *_load) ──► subject (nginx, tidegate, peers) ──► provider (nginx mock, sse_provider)

Only the subject is measured: CPU time of its processes from /proc, never of the load or of the provider.
"""
