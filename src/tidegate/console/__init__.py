"""The admin surface: a standard ASGI application on a Unix socket, reached through the gateway's port.

It trusts two headers, because only the gateway can reach the socket and strips both from what callers send:
`x-tidegate-tenant`, the account of the authenticated caller, and `x-tidegate-client`, the caller's address.
"""
