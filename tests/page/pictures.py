"""Takes the pictures of docs/page: `python -m tests.page.pictures [FOLDER]`."""

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

from tests.page.chromium import browser, watched
from tests.page.served import served
from tests.page.states import STATES

FOLDER: Final = Path(__file__).parents[2] / "docs" / "page"
DESKTOP: Final = {"width": 1180, "height": 900}
PHONE: Final = {"width": 390, "height": 844}
SHOTS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": DESKTOP, "color_scheme": "light"},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "is_mobile": True},
}


async def take(folder: Path, *, whole: bool = False) -> None:
    """All of them."""
    async with browser() as running:
        for name, make in STATES.items():
            async with served(make) as server:
                for look, context in SHOTS.items():
                    async with watched(running, **context) as looking:
                        await looking.open(server.url + "/")
                        await looking.page.wait_for_timeout(500)
                        await looking.page.screenshot(path=folder / f"{name}-{look}.png", full_page=whole)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER, whole="--whole" in sys.argv))
