"""The machine's shape, without its name: what one must know to compare figures."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def shape() -> dict[str, str]:
    """When and on what: date, cores, processor, system, Python."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": str(os.cpu_count()),
        "CPU": _cpu_model(),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"
