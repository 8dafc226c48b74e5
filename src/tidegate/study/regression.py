"""Least squares with errors that allow for unequal spread and for clusters: what the price figures estimate with.

Sources: J. G. MacKinnon, H. White, Journal of Econometrics 29 (1985), for HC1 and HC3; A. C. Cameron, D. L. Miller,
Journal of Human Resources 50 (2015), for clusters, with the small-sample factors of `fixest`
(L. Bergé, S. Krantz, G. McDermott, arXiv 2601.21749 / the vignette "On standard errors").
"""

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Labels = NDArray[np.intp]
Robust = Literal["HC1", "HC3"]

LEVEL = 0.95
RANK_TOLERANCE = 1e-9  # of the largest singular value, after columns were scaled to unit length


class NotIdentified(ValueError):
    """The data cannot tell this effect from the others; the text says why."""


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Coefficients with their covariance.

    coefficients: (k,). covariance: (k, k). n: observations. df: degrees of freedom of the t distribution.
    r2: of the model as fitted, about the (weighted) mean; of a panel within the effects. clusters: 0 where unclustered.
    """

    coefficients: Vector
    covariance: Matrix
    n: int
    df: int
    r2: float
    clusters: int = 0

    def estimate(self, direction: Vector | int) -> "Estimate":
        """A coefficient by its place, or a linear combination of them by its weights (k,)."""
        weights = np.eye(len(self.coefficients))[direction] if isinstance(direction, int) else direction
        value = float(weights @ self.coefficients)
        variance = float(weights @ self.covariance @ weights)
        return Estimate(value=value, se=float(np.sqrt(max(variance, 0.0))), df=self.df, n=self.n)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its standard error; intervals and tests by the t distribution with df degrees of freedom."""

    value: float
    se: float
    df: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """Of level LEVEL."""
        reach = float(stdtrit(self.df, (1 + LEVEL) / 2)) * self.se
        return self.value - reach, self.value + reach

    @property
    def p_value(self) -> float:
        """Two-sided, of zero."""
        if self.se == 0:
            return 0.0 if self.value else 1.0
        return 2 * float(stdtr(self.df, -abs(self.value / self.se)))


def least_squares(y: Vector, x: Matrix, *, weights: Vector | None = None, robust: Robust = "HC3") -> Fit:
    """Fit y on the columns of x (its constant included) with heteroskedasticity-robust errors.

    y: (n,). x: (n, k). weights: (n,) > 0, as inverse variances; None for equal ones. df is n - k.
    Raises NotIdentified where n <= k or a column is a combination of others.
    """
    n, k = x.shape
    if n <= k:
        raise NotIdentified(f"{n} observations cannot carry {k} coefficients and their errors")
    root = np.ones(n) if weights is None else np.sqrt(weights)
    xw, yw = x * root[:, None], y * root
    bread = _inverse_gram(xw)
    coefficients = bread @ (xw.T @ yw)
    residuals = yw - xw @ coefficients
    if robust == "HC3":
        leverage = np.einsum("ij,jk,ik->i", xw, bread, xw)
        if np.any(leverage > 1 - 1e-12):
            raise NotIdentified("one observation alone fixes a coefficient, so its error cannot be estimated")
        meat = xw * (residuals / (1 - leverage))[:, None]
        covariance = bread @ (meat.T @ meat) @ bread
    else:
        meat = xw * residuals[:, None]
        covariance = bread @ (meat.T @ meat) @ bread * (n / (n - k))
    w = root**2
    total = float(np.sum(w * (y - np.average(y, weights=w)) ** 2))
    r2 = 1 - float(residuals @ residuals) / total if total > 0 else float("nan")
    return Fit(coefficients=coefficients, covariance=covariance, n=n, df=n - k, r2=r2)


def panel(y: Vector, x: Matrix, units: Labels, times: Labels) -> Fit:
    """Fit y on x with an effect for every unit and every time, errors clustered by unit.

    y: (n,). x: (n, k), without a constant. units, times: (n,) codes from 0. Unbalanced panels are fine; units or
    times seen once add nothing and are left out, again until none is left. df is clusters - 1.
    Raises NotIdentified where x does not vary within units beside times.
    """
    keep = without_singletons(units, times)
    y, x = y[keep], x[keep]
    units, times = (np.unique(codes[keep], return_inverse=True)[1] for codes in (units, times))
    n, k = x.shape
    clusters = int(units.max()) + 1 if n else 0
    if clusters < 2:
        raise NotIdentified(f"{clusters} unit{'s' * (clusters != 1)} seen at more than one time: two are needed")
    n_times = int(times.max()) + 1
    xd, yd = _demeaned(np.column_stack([x, y]), units, times, n_times)
    scale = np.sqrt(np.mean((x - x.mean(axis=0)) ** 2, axis=0))
    if np.any(np.sqrt(np.mean(xd**2, axis=0)) <= RANK_TOLERANCE * np.maximum(scale, 1e-300)):
        raise NotIdentified("nothing varies within units beside what is common to all of them at a time")
    bread = _inverse_gram(xd)
    coefficients = bread @ (xd.T @ yd)
    residuals = yd - xd @ coefficients
    scores = np.zeros((clusters, k))
    np.add.at(scores, units, xd * residuals[:, None])
    counted = k + n_times  # unit effects are nested in the clusters, so they cost no degree of freedom
    if n <= counted:
        raise NotIdentified(f"{n} observations cannot carry {counted} coefficients and their errors")
    small = (n - 1) / (n - counted) * clusters / (clusters - 1)
    covariance = bread @ (scores.T @ scores) @ bread * small
    total = float(yd @ yd)
    r2 = 1 - float(residuals @ residuals) / total if total > 0 else float("nan")
    return Fit(coefficients=coefficients, covariance=covariance, n=n, df=clusters - 1, r2=r2, clusters=clusters)


def mean_estimate(values: Vector) -> Estimate:
    """The mean with the standard error of independent draws. Raises NotIdentified below two values."""
    n = len(values)
    if n < 2:
        raise NotIdentified(f"{n} value{'s' * (n != 1)} have no spread to judge a mean by")
    return Estimate(value=float(np.mean(values)), se=float(np.std(values, ddof=1) / np.sqrt(n)), df=n - 1, n=n)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Interval of a share, level LEVEL (E. B. Wilson, JASA 22, 1927)."""
    z = float(ndtri((1 + LEVEL) / 2))
    centre = (successes + z * z / 2) / (n + z * z)
    reach = float(z / (n + z * z) * np.sqrt(successes * (n - successes) / n + z * z / 4))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _inverse_gram(x: Matrix) -> Matrix:
    """(x'x)^-1 by singular values, columns scaled first. Raises NotIdentified where a column depends on others."""
    length = np.linalg.norm(x, axis=0)
    if np.any(length == 0):
        raise NotIdentified("a regressor is zero throughout")
    _, singular, v = np.linalg.svd(x / length, full_matrices=False)
    if singular[-1] <= RANK_TOLERANCE * singular[0]:
        raise NotIdentified("a regressor does not vary, or is a combination of others")
    inverse: Matrix = (v.T / singular**2) @ v / np.outer(length, length)
    return inverse


def without_singletons(units: Labels, times: Labels) -> NDArray[np.bool_]:
    """Which observations are neither the only one of their unit nor the only one of their time."""
    keep = np.ones(len(units), dtype=bool)
    while True:
        lone = np.zeros(len(units), dtype=bool)
        for codes in (units, times):
            counts = np.bincount(codes[keep], minlength=int(codes.max()) + 1 if len(codes) else 0)
            lone |= keep & (counts[codes] == 1)
        if not lone.any():
            return keep
        keep &= ~lone


def _demeaned(columns: Matrix, units: Labels, times: Labels, n_times: int) -> tuple[Matrix, Vector]:
    """Remove unit and time effects exactly: unit means first, then a projection on the demeaned time dummies."""
    dummies = np.zeros((len(units), n_times))
    dummies[np.arange(len(units)), times] = 1.0
    counts = np.bincount(units).astype(float)[:, None]

    def within(block: Matrix) -> Matrix:
        sums = np.zeros((len(counts), block.shape[1]))
        np.add.at(sums, units, block)
        return np.asarray(block - (sums / counts)[units])

    demeaned, dummies = within(columns), within(dummies)
    # n_times normal equations are few; lstsq takes their missing rank (the dummies add up to nothing)
    effects = np.linalg.lstsq(dummies.T @ dummies, dummies.T @ demeaned, rcond=1e-12)[0]
    cleaned = demeaned - dummies @ effects
    cleaned = within(cleaned)  # against rounding
    return cleaned[:, :-1], cleaned[:, -1]
