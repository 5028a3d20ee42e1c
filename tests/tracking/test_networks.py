"""Where the networks run: batches say what single faces say, and the CPU stands in for a GPU."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.cuda import Gpu
from digitalmask.errors import ConfigurationError, TrackingError
from digitalmask.simulation import PatientPose, SimulatedPatient
from digitalmask.tracking import networks as networks_module
from digitalmask.tracking import sessions
from digitalmask.tracking.detector import detect_faces
from digitalmask.tracking.landmarks import find_points, score_blendshapes
from digitalmask.tracking.networks import (
    Networks,
    cpu_networks,
    device_networks,
    load_networks,
    networks_on,
    with_spare,
)
from digitalmask.tracking.sessions import Provider, make_session
from tests.tracking.doubles import ChosenNetwork, chosen_networks, still

SIZE = (320, 240)


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    """Five faces of two people who do not exist, as the tracker cuts them out."""
    on_cpu = cpu_networks()
    cut = []
    for person, yaws in ((0, (0.0, 15.0, -20.0)), (3, (0.0, 10.0))):
        patient = SimulatedPatient(person)
        for yaw in yaws:
            seen = still(patient.draw(PatientPose(yaw_deg=yaw), SIZE))
            cut.append(detect_faces(on_cpu.detector, seen)[0].region.cut(seen, 256))
        patient.close()
    return np.stack(cut)


def batched(*batches: int) -> Networks:
    """The networks as a GPU runs them, on the CPU."""
    return networks_on(sessions.CPU, "gpu", make_session, batches)


def assert_alike(
    some: Sequence[NDArray[np.float32]], others: Sequence[NDArray[np.float32]], most: float
) -> None:
    for one, other in zip(some, others, strict=True):
        np.testing.assert_allclose(one.reshape(-1), other.reshape(-1), atol=most, rtol=1e-5)


@pytest.mark.gl
@pytest.mark.models
def test_a_batch_says_of_each_face_what_is_said_of_it_alone(crops: NDArray[np.uint8]) -> None:
    # Five faces in batches of at most two: two whole ones, and one that is filled up.
    together, alone, on_cpu = batched(2), batched(1), cpu_networks()
    said = together.landmarks.run(crops)
    for number in range(len(crops)):
        face = [each[number] for each in said]
        assert_alike(face, alone.landmarks.run(crops[number : number + 1]), 1e-4)
        # The CPU's form of the network, which rounds in other places.
        assert_alike(face, on_cpu.landmarks.run(crops[number : number + 1]), 2e-3)
    points = said[0].reshape(-1, 478, 3)
    assert np.ptp(points[:, :, 0], axis=1).min() > 60  # faces, not noise
    seen = np.ascontiguousarray(points[:, :146, :2])
    scores = together.blendshapes.run(seen)
    for number in range(len(crops)):
        alone_scores = on_cpu.blendshapes.run(seen[number : number + 1])
        assert_alike([each[number] for each in scores], alone_scores, 1e-4)
    eyes = np.random.default_rng(0).integers(0, 256, (3, 2, 56, 80, 3), np.uint8)
    places = together.eyes.run(eyes)
    for number in range(len(eyes)):
        alone_places = on_cpu.eyes.run(eyes[number : number + 1])
        assert_alike([each[number] for each in places], alone_places, 1e-3)


@pytest.mark.gl
@pytest.mark.models
def test_the_tracker_sees_the_same_through_either_form() -> None:
    patient = SimulatedPatient(1)
    seen = still(patient.draw(PatientPose(yaw_deg=8.0), SIZE))
    patient.close()
    points = []
    for networks in (batched(1), cpu_networks()):
        (face,) = detect_faces(networks.detector, seen)
        found, presence = find_points(networks.landmarks, seen, face.region)
        assert presence > 0.9
        assert score_blendshapes(networks.blendshapes, found).shape == (52,)
        points.append(found)
    np.testing.assert_allclose(points[0], points[1], atol=0.01)


class Sessions:
    """Makes sessions on the CPU in the GPU's place; the test says which fail."""

    def __init__(self, refuses_graphs: bool = False) -> None:
        self.refuses_graphs = refuses_graphs
        self.made: list[tuple[bool, int | None]] = []

    def __call__(self, path: Path, _provider: Provider, graphs: bool, batch: int | None) -> Any:
        if graphs and self.refuses_graphs:
            raise TrackingError("this network cannot be captured")
        self.made.append((graphs, batch))
        return make_session(path, sessions.CPU, False, batch)


def as_gpu() -> Provider:
    return Provider("CPUExecutionProvider", graph_options=(("enable_cuda_graph", "1"),))


@pytest.mark.models
def test_a_network_that_cannot_be_captured_runs_without_graphs() -> None:
    make = Sessions(refuses_graphs=True)
    networks = networks_on(as_gpu(), "gpu", make, (1, 2))
    assert make.made == [(False, 1), (False, 2)] * 4
    assert networks.blendshapes.run(np.ones((2, 146, 2), np.float32))[0].shape == (2, 52)
    make = Sessions()
    networks_on(as_gpu(), "gpu", make, (1,))
    assert {graphs for graphs, _ in make.made} == {True}


def refused(*_arguments: object) -> Any:
    raise TrackingError("ONNX Runtime's CUDAExecutionProvider cannot be used here")


@pytest.mark.models
def test_a_provider_that_does_not_load_is_refused_or_replaced() -> None:
    with pytest.raises(ConfigurationError, match="CUDA cannot be used here"):
        load_networks("cuda", refused)
    with pytest.raises(TrackingError):
        device_networks("cuda", refused)
    assert load_networks("cpu", refused).provider == "CPU"


@pytest.mark.models
def test_a_gpu_that_cannot_be_used_is_named_and_the_cpu_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(networks_module, "gpus", lambda: [Gpu("NVIDIA H200", 143771)])
    with caplog.at_level(logging.WARNING):
        assert load_networks("auto", refused).provider == "CPU"
    (record,) = caplog.records
    assert record.getMessage() == (
        "the GPU cannot be used (ONNX Runtime's CUDAExecutionProvider cannot be used here); "
        "faces are tracked on the CPU"
    )


@pytest.mark.models
def test_a_machine_without_a_gpu_says_what_to_install() -> None:
    if load_networks("auto").provider != "CPU":
        pytest.skip("this machine has a GPU")
    for choice, name in (("cuda", "CUDA"), ("cuda-half", "CUDA"), ("tensorrt", "TensorRT")):
        with pytest.raises(ConfigurationError, match=f"{name} cannot be used here .*install an NV"):
            load_networks(choice)


FACE = np.ones((1, 146, 2), np.float32)


class Clock:
    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def answer(networks: Networks) -> float:
    """Who answered: 1 the device, 2 the spare."""
    return float(networks.blendshapes.run(FACE)[0].flat[0])


def test_what_fails_in_the_middle_is_answered_by_the_spare_and_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device, clock, loads = ChosenNetwork(1.0), Clock(), []

    def load() -> Networks:
        loads.append(clock.at_s)
        return chosen_networks(device, "CUDA")

    networks = with_spare(load, chosen_networks(ChosenNetwork(2.0), "CPU"), now_s=clock)
    assert answer(networks) == 1.0
    assert networks.provider == "CUDA"
    with caplog.at_level(logging.WARNING):
        device.fails = True
        assert answer(networks) == 2.0  # the very same frame
        assert networks.provider == "CPU"
        clock.at_s += 1.0
        assert answer(networks) == 2.0
        assert len(loads) == 1  # not tried with every frame
        device.fails = False
        clock.at_s += 1.1
        assert answer(networks) == 1.0
        assert networks.provider == "CUDA"
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "a face network failed (CUDA); faces are tracked on CPU for now",
        "faces are tracked on CUDA again",
    ]


def test_a_device_that_stays_away_is_asked_ever_less_and_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, tries = Clock(), []

    def load() -> Networks:
        tries.append(clock.at_s)
        raise TrackingError("no device")

    networks = with_spare(load, chosen_networks(ChosenNetwork(2.0), "CPU"), now_s=clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(3000):
            assert answer(networks) == 2.0
            clock.at_s += 0.1
    pauses = np.diff(tries)
    np.testing.assert_allclose(pauses[:6], [2, 4, 8, 16, 32, 60], atol=0.15)
    assert len(caplog.records) == 1


def test_a_fault_of_the_spare_is_a_fault() -> None:
    spare = ChosenNetwork(2.0, fails=True)
    networks = with_spare(
        lambda: chosen_networks(ChosenNetwork(1.0, fails=True), "CUDA"),
        chosen_networks(spare, "CPU"),
    )
    with pytest.raises(TrackingError):
        answer(networks)
