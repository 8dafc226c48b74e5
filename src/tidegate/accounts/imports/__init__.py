"""Another gateway's installation as ours: a plan is read from its files, shown, and then carried out.

Reading changes nothing and needs no database; carrying out a plan twice changes nothing the second time. Whatever did
not map is listed by name.
"""

from tidegate.accounts.imports.plan import Plan

__all__ = ["Plan"]
