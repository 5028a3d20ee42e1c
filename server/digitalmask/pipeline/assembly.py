"""Puts the real stages together."""

from collections.abc import Callable

from digitalmask.anatomy import MaskEstimator
from digitalmask.assets.head import load_head
from digitalmask.opengl import egl_devices
from digitalmask.pipeline.drawer import Drawer
from digitalmask.pipeline.drawing_device import DrawingDevice, watched
from digitalmask.pipeline.drawing_process import DrawingProcess
from digitalmask.pipeline.follower import Follower
from digitalmask.pipeline.masker import Masker
from digitalmask.pipeline.masker_process import MaskerProcess
from digitalmask.pipeline.stages import FrameMasker, Renderer
from digitalmask.rendering import Complexion, Inset, MaskRenderer
from digitalmask.tracking import FaceTracker, load_networks
from digitalmask.tracking.inference_process import InferenceProcess, room_networks


def make_follower(provider: str = "auto", inference: str = "") -> Callable[[], Follower]:
    """Load what is shared (networks, head) now; the result makes a follower in its own thread.

    inference: the address of the process that runs the networks of all rooms
    (`InferenceProcess`), in place of `provider`. Errors: those of `load_networks` and `load_head`.
    """
    networks = room_networks(inference) if inference else load_networks(provider)
    head = load_head()
    return lambda: Follower(FaceTracker(networks), MaskEstimator(head), networks.where)


def make_drawer(
    inset: str = Inset.NONE, skin: str = "light", eyes: str = "neutral"
) -> Callable[[], Drawer]:
    """Load the head now; the result makes a drawer in its own thread.

    inset: a value of `Inset`, what the picture shows beside the mask. skin, eyes: the mask's
    colours, of those in `Complexion`. Errors: as `load_head`.
    """
    head = load_head()
    complexion = Complexion(skin, eyes)

    def make() -> Drawer:
        device: DrawingDevice[Renderer] = DrawingDevice(
            lambda index: MaskRenderer(head, Inset(inset), index, complexion), egl_devices()
        )
        return Drawer(lambda: watched(device), lambda: device.name)

    return make


def make_masker(
    provider: str = "auto", inset: str = Inset.NONE, skin: str = "light", eyes: str = "neutral"
) -> Callable[[], Masker]:
    """Both together, in one process."""
    follower, drawer = make_follower(provider), make_drawer(inset, skin, eyes)
    return lambda: Masker(follower(), drawer())


def isolated(
    provider: str = "auto",
    inset: str = Inset.NONE,
    skin: str = "light",
    eyes: str = "neutral",
    inference: InferenceProcess | None = None,
    drawing: DrawingProcess | None = None,
) -> Callable[[], FrameMasker]:
    """Makes maskers each of whose halves has a process of its own, where the system can.

    inference, drawing: the processes that run the networks and draw for all rooms, if there are.
    """
    if not MaskerProcess.possible():
        return make_masker(provider, inset, skin, eyes)
    address = "" if inference is None else inference.address
    follower = (_name(make_follower), provider, address)
    drawer = (_name(make_drawer), inset, skin, eyes)
    return lambda: MaskerProcess(follower, drawer, drawing)


def _name(maker: Callable[..., object]) -> str:
    return f"{maker.__module__}:{maker.__qualname__}"
