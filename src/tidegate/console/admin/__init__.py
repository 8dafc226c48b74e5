"""The admin API, `/api/admin/v1`: structs in, structs out; one module a kind of thing. Times are UTC microseconds.

Money is in integers of nano-USD, and going in also as exact decimal text (`"12.50"`), never as a float.
"""

ROOT = "/api/admin/v1"
TENANT = ROOT + "/tenants/{tenant_id}"
