"""The data plane: listener, exchange, upstream pool, meter. The only room with sockets on the hot path.

Read in this order: `worker` (one process), `listener` (bytes of callers), `exchange` (the life of one call),
`upstream` (bytes of providers), `relay` (a stream between them), `meter` (what it cost), `recorder` (the journal).
"""
