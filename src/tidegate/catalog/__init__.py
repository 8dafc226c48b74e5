"""Facts: models, authors, providers, endpoints, dated prices, countries. Tables in, structs out."""

from tidegate.catalog.catalog import Catalog, Resolved, load_catalog

__all__ = ["Catalog", "Resolved", "load_catalog"]
