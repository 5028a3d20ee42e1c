"""Puts the real stages together."""

from collections.abc import Callable

from digitalmask.anatomy import MaskEstimator
from digitalmask.assets.head import load_head
from digitalmask.pipeline.masker import Masker
from digitalmask.rendering import Inset, MaskRenderer
from digitalmask.tracking import FaceTracker, load_networks


def make_masker(provider: str = "auto", inset: str = Inset.NONE) -> Callable[[], Masker]:
    """Load what is shared (networks, head) now; the result makes a masker in its own thread.

    inset: a value of `Inset`, what the picture shows beside the mask.

    Errors: those of `load_networks` and `load_head`.
    """
    networks = load_networks(provider)
    head = load_head()

    def make() -> Masker:
        return Masker(
            FaceTracker(networks),
            MaskEstimator(head),
            lambda: MaskRenderer(head, Inset(inset)),
            networks.provider,
        )

    return make
