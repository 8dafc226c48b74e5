"""A provider's own usage and cost export against our rows, by day and model, with the causes of differences ranked."""

from tidegate.accounts.reconcile.run import Options, Reconciled, reconcile

__all__ = ["Options", "Reconciled", "reconcile"]
