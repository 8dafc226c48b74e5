"""Weights by principal components, with the reason why they often cannot be used as weights.

Loadings are the eigenvectors of the correlation matrix; their signs are a convention of the solver, and where they
differ inside one group no choice of sign makes them weights.
"""

import msgspec
import numpy as np

from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats

ROUNDS_MAX = 1000
"""Varimax sweeps; a few dozen are usual."""


class Components(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """loadings: (columns, components) unit eigenvectors, the largest entry of each positive; explained: (components,)
    parts of the variance; eigenvalues: of the correlation matrix; n: the units without a gap, which it rests on.
    """

    loadings: Floats
    explained: Floats
    eigenvalues: Floats
    n: int


def principal_components(values: Floats) -> Components:
    """Of (units, columns), standardised by column; units with a gap are left out and n says how many stay.

    Raises IndexRefusal for a constant column or fewer units than three.
    """
    full = values[~np.isnan(values).any(axis=1)]
    if len(full) < 3:
        raise IndexRefusal(f"Only {len(full)} units have every column; components need three or more. Impute first.")
    spread = full.std(axis=0, ddof=1)
    if (spread == 0).any():
        raise IndexRefusal(f"Column {int(np.argmin(spread))} is constant: it has no correlation. Take it out.")
    scaled = (full - full.mean(axis=0)) / spread
    eigenvalues, vectors = np.linalg.eigh(scaled.T @ scaled / (len(full) - 1))
    eigenvalues, vectors = eigenvalues[::-1].clip(0), vectors[:, ::-1]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    loadings = vectors * np.where(largest < 0, -1.0, 1.0)
    return Components(
        loadings=loadings, explained=eigenvalues / eigenvalues.sum(), eigenvalues=eigenvalues, n=len(full)
    )


def pca_weights(values: Floats, codes: tuple[str, ...]) -> Floats:
    """(columns,) loadings of the first component as shares. Raises IndexRefusal where their signs differ."""
    loadings = principal_components(values).loadings[:, 0]
    if (loadings < 0).any():
        wrong = ", ".join(f"{code} {x:.3f}" for code, x in zip(codes, loadings, strict=True) if x < 0)
        raise IndexRefusal(
            f"The first component has loadings of both signs ({wrong}): these are no weights. Report them, and check "
            "the direction of those indicators or split the group."
        )
    return np.asarray(loadings / loadings.sum())


def factor_weights(values: Floats, eigenvalue_min: float = 1.0) -> Floats:
    """(columns,) squared varimax loadings of the factors kept, each by its part of the variance they explain.

    A column counts in the factor on which it loads most. Source: OECD/JRC Handbook (2008), step 5, section 6.1.
    """
    found = principal_components(values)
    kept = max(1, int((found.eigenvalues > eigenvalue_min).sum()))
    rotated = varimax(found.loadings[:, :kept] * np.sqrt(found.eigenvalues[:kept]))
    square = np.square(rotated)
    variance = square.sum(axis=0)
    inside = square / variance
    weights = inside.max(axis=1) * (variance / variance.sum())[inside.argmax(axis=1)]
    return np.asarray(weights / weights.sum())


def varimax(loadings: Floats, tolerance: float = 1e-10) -> Floats:
    """Rotate (columns, factors) so that each column loads on few of them (Kaiser 1958)."""
    rows, factors = loadings.shape
    turn = np.eye(factors)
    for _ in range(ROUNDS_MAX):
        rotated = loadings @ turn
        target = rotated**3 - rotated * np.square(rotated).sum(axis=0) / rows
        left, _, right = np.linalg.svd(loadings.T @ target)
        last, turn = turn, left @ right
        if np.abs(turn - last).max() < tolerance:
            break
    return np.asarray(loadings @ turn)
