"""`digitalmask check`: what this machine has, what will be used of it, what to install for more."""

import argparse
import ctypes
import json
import os
from typing import Any

_CODECS = {"H.264": ("libx264", "h264"), "VP8": ("libvpx", "vp8"), "Opus": ("libopus", "libopus")}


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check", help="what this machine has, what will be used, what to install for more"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    found = examine()
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join(_screen(found)))
    return 0 if found["used"]["tracking"] and found["used"]["drawing"] else 1


def examine() -> dict[str, Any]:
    """All that the command says, as JSON has it; `install` are lines for a person."""
    install: list[str] = []
    tracking = _tracking(install)
    drawing = _drawing(install)
    if tracking["gpus"] and not any(each["nvidia"] for each in drawing["egl"]):
        install.append(
            "NVIDIA's OpenGL: libEGL_nvidia.so.0 of the driver (for a container, "
            "NVIDIA_DRIVER_CAPABILITIES=all)"
        )
    codecs = _codecs()
    missing = [name for name, there in codecs.items() if not there]
    if missing:
        install.append(f"no {' and no '.join(missing)}: install PyAV's own wheel (pip install av)")
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        **tracking,
        **drawing,
        "codecs": codecs,
        "used": {"tracking": tracking["used"], "drawing": drawing["used"]},
        "install": install,
    }


def _tracking(install: list[str]) -> dict[str, Any]:
    from digitalmask.cuda import gpus
    from digitalmask.errors import DigitalMaskError
    from digitalmask.tracking.networks import cpu_networks, device_networks
    from digitalmask.tracking.sessions import TENSORRT_LIBRARY

    found, providers, used = gpus(), {}, ""
    try:
        used = cpu_networks().provider
        providers["CPU"] = "ready"
    except DigitalMaskError as error:
        providers["CPU"] = str(error)
        install.append(str(error))
    providers["CUDA"] = "no NVIDIA GPU, or no driver for it"
    if found and used:
        try:
            used = device_networks("cuda", batches=(1,)).provider
            providers["CUDA"] = "ready"
        except DigitalMaskError as error:
            providers["CUDA"] = str(error)
            install.append("CUDA's libraries: pip install 'digitalmask[cuda]'")
    providers["TensorRT"] = "with --provider tensorrt"
    try:
        ctypes.CDLL(TENSORRT_LIBRARY)
    except OSError:
        providers["TensorRT"] = f"{TENSORRT_LIBRARY} is missing"
    return {
        "gpus": [{"name": each.name, "memory_mib": each.memory_mib} for each in found],
        "providers": providers,
        "used": used,
    }


def _drawing(install: list[str]) -> dict[str, Any]:
    from digitalmask.errors import RenderingError
    from digitalmask.opengl import egl_devices, offscreen_context

    devices, used = [], ""
    for device in egl_devices():
        try:
            context = offscreen_context(device.index)
        except RenderingError as error:
            fault = {"name": device.name, "fault": str(error)}
            devices.append({"index": device.index, "nvidia": False, **fault})
            continue
        name = f"{context.info['GL_RENDERER']}, OpenGL {context.version_code / 100:.1f}"
        context.release()
        used = used or name
        devices.append({"index": device.index, "nvidia": device.nvidia, "name": name})
    if not used:
        install.append("OpenGL without a screen: apt-get install libegl1 libgl1")
    return {"egl": devices, "used": used}


def _codecs() -> dict[str, bool]:
    import av

    def there(name: str, mode: str) -> bool:
        try:
            av.codec.Codec(name, mode)  # type: ignore[arg-type]
        except ValueError:
            return False
        return True

    return {
        name: there(encoder, "w") and there(decoder, "r")
        for name, (encoder, decoder) in _CODECS.items()
    }


def _screen(found: dict[str, Any]) -> list[str]:
    lines = [f"cores      {found['cores']}"]
    lines += [f"GPU        {each['name']}, {each['memory_mib']} MiB" for each in found["gpus"]]
    lines += [f"{name:11}{said}" for name, said in found["providers"].items()]
    for device in found["egl"]:
        lines.append(f"EGL {device['index']:<7}{device['name']}{_fault(device)}")
    codecs = ", ".join(
        name if there else f"{name} missing" for name, there in found["codecs"].items()
    )
    lines.append(f"codecs     {codecs}")
    used = found["used"]
    lines.append(f"used       faces are tracked on: {used['tracking'] or 'nothing'}")
    lines.append(f"           masks are drawn on: {used['drawing'] or 'nothing'}")
    lines += [f"install    {each}" for each in found["install"]]
    return lines


def _fault(device: dict[str, Any]) -> str:
    return f": {device['fault']}" if "fault" in device else ""
