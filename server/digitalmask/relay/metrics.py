"""What a clinic's monitoring reads: Prometheus figures of every room, without anybody in them.

Rooms are told apart by the number of their turn, never by a name or an id, which is half of an
invitation.
"""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from digitalmask.pipeline import Provider, Tracking
from digitalmask.relay.admission import Admission
from digitalmask.relay.invitations import Role
from digitalmask.relay.rooms import Rooms


def add_metrics(app: web.Application, rooms: Rooms, admission: Admission) -> None:
    """Serve `/metrics` to whoever has the admin key."""
    registry = CollectorRegistry()
    registry.register(_RoomFigures(rooms))
    ProcessCollector(registry=registry)

    async def metrics(request: web.Request) -> web.Response:
        admission.require_admin(request)
        text = generate_latest(registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/metrics", metrics)


class _RoomFigures(Collector):
    """Reads the rooms when it is asked; on the event loop."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def collect(self) -> Iterator[Metric]:
        people = GaugeMetricFamily("digitalmask_people", "People in rooms.", labels=["role"])
        frames = CounterMetricFamily(
            "digitalmask_frames",
            "Frames since the patient came: of the camera (received), masks and cards (shown), "
            "left out for newer ones (replaced).",
            labels=["room", "outcome"],
        )
        stages = GaugeMetricFamily(
            "digitalmask_stage_seconds", "Recent time of each stage.", labels=["room", "stage"]
        )
        rate = GaugeMetricFamily(
            "digitalmask_frames_per_second", "What is shown of a patient.", labels=["room"]
        )
        effort = GaugeMetricFamily(
            "digitalmask_reduced", "0, or how far less is done under load.", labels=["room"]
        )
        tracking = GaugeMetricFamily(
            "digitalmask_tracking", "1 for what becomes of the face.", labels=["room", "state"]
        )
        providers = GaugeMetricFamily(
            "digitalmask_provider",
            "1 for what the networks run on, and what masks are drawn on.",
            labels=["room", "of", "provider"],
        )
        encodings = GaugeMetricFamily(
            "digitalmask_encodings", "Encodings of a room's mask.", labels=["room"]
        )
        open_rooms = self._rooms.opened()
        for role in Role:
            people.add_metric([role.value], sum(room.count(role) for room in open_rooms))
        for number, room in enumerate(open_rooms, 1):
            if not room.count(Role.PATIENT):
                continue
            status, label = room.patient_status(), str(number)
            for outcome, count in (
                ("received", status.submitted),
                ("shown", status.shown),
                ("replaced", status.replaced),
            ):
                frames.add_metric([label, outcome], count)
            for stage, taken_ms in status.stage_ms.items():
                stages.add_metric([label, stage], taken_ms / 1e3)
            rate.add_metric([label], status.fps)
            effort.add_metric([label], status.level)
            encodings.add_metric([label], room.encodings)
            if status.provider != Provider():
                providers.add_metric([label, "networks", status.provider.networks], 1)
                providers.add_metric([label, "drawing", status.provider.drawing], 1)
            for state in Tracking:
                tracking.add_metric([label, state.value], status.tracking is state)
        yield from (people, frames, stages, rate, effort, tracking, providers, encodings)
