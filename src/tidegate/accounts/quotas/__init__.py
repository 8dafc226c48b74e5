"""Quotas: who grants slices of them, and how a worker spends its slices. One contract, several stores."""
