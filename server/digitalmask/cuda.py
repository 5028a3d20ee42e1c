"""NVIDIA's GPUs as the driver counts them; nothing of CUDA need be installed to ask."""

import ctypes
from dataclasses import dataclass

_NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. memory_mib: of the card, not what is free."""

    name: str
    memory_mib: int


def gpus() -> list[Gpu]:
    """The GPUs that the driver offers this process; none where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return []
    return [_gpu(driver, number) for number in range(count.value)]


def _gpu(driver: ctypes.CDLL, number: int) -> Gpu:
    device, memory = ctypes.c_int(0), ctypes.c_size_t(0)
    name = ctypes.create_string_buffer(_NAME_BYTES)
    driver.cuDeviceGet(ctypes.byref(device), number)
    driver.cuDeviceGetName(name, _NAME_BYTES, device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return Gpu(name.value.decode("utf-8", "replace"), memory.value >> 20)
