"""Fuzz targets: any bytes, and what must hold whatever they are."""
