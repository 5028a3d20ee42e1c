"""Expression as bounded coefficients on the patient's own neutral.

Two sources are weighed against each other: the displacement of the points from the patient's own
neutral (precise, but blind to what is always there), and the scores of the blendshape network
(coarse, but trained on many people, so it knows a smile from a wide mouth). Coefficients lie
between 0 and 1 and act on the one head of the mask, so the patient's shape is not in them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.compiled import compiled
from digitalmask.mask_state import EXPRESSIONS

Floats = NDArray[np.float64]

# The order of the blendshape network's 52 scores (its first is "neutral").
_SCORES = (
    "_neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff "
    "cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight "
    "eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight "
    "eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft jawOpen jawRight "
    "mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel "
    "mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker "
    "mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft "
    "mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight "
    "noseSneerLeft noseSneerRight"
).split()
# Where the network has one score for both sides, or none.
_ONE_FOR_BOTH = {"browInnerUp": "browInnerUp", "cheekPuff": "cheekPuff"}
_CHEEK_RAISER_FROM = "cheekSquint"

# How many square millimetres of misfit, summed over the points, a coefficient's distance of 1
# from the network's score is worth. Chosen on the nine test videos by eye: below 20 the mouth
# trembles in the fast parts of d6, above 200 it follows the network's flat lips.
_TRUST_IN_SCORES_MM2 = 60.0
# From the last frame's coefficients it settles in a dozen steps; what moves less has settled.
_STEPS, _SWEEPS, _SETTLED = 80, 3, 1e-7


def score_of(name: str) -> int:
    """The place of a named score among the network's 52."""
    return _SCORES.index(name)


def _score_for(expression: str) -> int:
    bare = expression.removesuffix("Left").removesuffix("Right")
    if bare in _ONE_FOR_BOTH:
        return score_of(bare)
    if bare == "cheekRaiser":
        return score_of(_CHEEK_RAISER_FROM + expression.removeprefix(bare))
    return score_of(expression)


_FROM_SCORES = np.array([_score_for(name) for name in EXPRESSIONS])


def expression_scores(blendshapes: NDArray[np.float32]) -> Floats:
    """(52,) scores of the network to (len(EXPRESSIONS),)."""
    return np.asarray(blendshapes[_FROM_SCORES], np.float64)


def mirror_places() -> NDArray[np.int64]:
    """For each expression the place of its mirror image (itself where it has no side)."""
    places = {name: place for place, name in enumerate(EXPRESSIONS)}

    def mirrored(name: str) -> str:
        for side, other in (("Left", "Right"), ("Right", "Left")):
            if name.endswith(side):
                return name.removesuffix(side) + other
        return name

    return np.array([places[mirrored(name)] for name in EXPRESSIONS])


@dataclass(frozen=True, slots=True)
class ExpressionBasis:
    """The expression directions at the points, with what can be computed once.

    directions_mm: (k, n, 3).
    weights: (n,) of the points.
    products: (3, 3, k, k), `products[a, b] = sum_n w_n d_na d_nb^T`, from which the normal matrix
        for any viewing direction is put together.
    """

    directions_mm: Floats
    weights: Floats
    products: Floats

    @classmethod
    def of(cls, directions_mm: Floats, weights: Floats) -> "ExpressionBasis":
        """Prepare the directions (k, n, 3) and the points' weights (n,)."""
        directions_mm = np.ascontiguousarray(directions_mm)
        products = np.einsum(
            "n,kna,lnb->abkl", weights, directions_mm, directions_mm, optimize=True
        )
        return cls(directions_mm, weights, np.ascontiguousarray(products))

    def displacement_mm(self, coefficients: Floats) -> Floats:
        """(n, 3) of the points, for coefficients (k,)."""
        moved = coefficients @ self.directions_mm.reshape(len(coefficients), -1)
        return np.asarray(moved.reshape(-1, 3))

    def fit(self, displacement_mm: Floats, view: Floats, scores: Floats, start: Floats) -> Floats:
        """The coefficients (k,) that explain a displacement (n, 3) from the neutral.

        view: unit vector to the camera; along it a displacement is not seen.
        """
        return _fitted(
            self.directions_mm.reshape(len(start), -1),
            self.weights,
            self.products,
            displacement_mm,
            view,
            scores,
            start,
        )


@compiled("f8[::1](f8[:,::1], f8[::1], f8[::1])")
def bounded_least_squares(normal: Floats, right: Floats, start: Floats) -> Floats:
    """Minimise x'Nx/2 - r'x for 0 <= x <= 1, N positive definite, from `start`.

    Active sets: a step ends where the first bound cuts it off, which then is held; where none does,
    the bound is let go that holds back most. Whatever it begins with, frames that are alike get
    answers that are. Coordinate after coordinate, the first sweeps tell most of what is held.
    """
    count = len(start)
    x = np.minimum(np.maximum(start, 0.0), 1.0)
    for _ in range(_SWEEPS):
        for each in range(count):
            value = x[each] + (right[each] - normal[each] @ x) / normal[each, each]
            x[each] = min(max(value, 0.0), 1.0)
    held = (x <= 0.0) | (x >= 1.0)
    gradient = normal @ x - right
    for _ in range(_STEPS):
        free = np.flatnonzero(~held)
        system = np.empty((len(free), len(free)))
        for i, row in enumerate(free):
            for j, column in enumerate(free):
                system[i, j] = normal[row, column]
        step = np.linalg.solve(system, -gradient[free])
        share, cut_off = 1.0, -1
        for i, row in enumerate(free):
            room = 1.0 - x[row] if step[i] > 0.0 else x[row]
            if abs(step[i]) * share > room:
                share, cut_off = room / abs(step[i]), int(row)
        for i, row in enumerate(free):
            x[row] += share * step[i]
        if cut_off >= 0:
            x[cut_off] = 0.0 if x[cut_off] < 0.5 else 1.0
            held[cut_off] = True
        gradient = normal @ x - right
        if cut_off >= 0:
            continue
        most, let_go = _SETTLED, -1
        for row in np.flatnonzero(held):
            inward = (gradient[row] if x[row] > 0.5 else -gradient[row]) / normal[row, row]
            if inward > most:
                most, let_go = inward, int(row)
        if let_go < 0:
            break
        held[let_go] = False
    return x


@compiled("f8[::1](f8[:,::1], f8[::1], f8[:,:,:,::1], f8[:,::1], f8[::1], f8[::1], f8[::1])")
def _fitted(
    directions_mm: Floats,
    weights: Floats,
    products: Floats,
    displacement_mm: Floats,
    view: Floats,
    scores: Floats,
    start: Floats,
) -> Floats:
    """`ExpressionBasis.fit` on what a basis holds; directions_mm: (k, 3n)."""
    across = np.eye(3) - np.outer(view, view)
    count = len(start)
    normal = (across.reshape(-1) @ products.reshape(9, count**2)).reshape(count, count)
    for each in range(count):
        normal[each, each] += _TRUST_IN_SCORES_MM2
    seen = displacement_mm @ across
    for point in range(len(seen)):
        seen[point] *= weights[point]
    right = directions_mm @ seen.reshape(-1) + _TRUST_IN_SCORES_MM2 * scores
    return bounded_least_squares(normal, right, start)
