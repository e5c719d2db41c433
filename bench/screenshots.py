"""Takes the console's pictures for the documentation, docs/images/console-*.svg, on the sample machine.

Run from the checkout: ``python -m bench.screenshots``. It starts the appliance once.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

from p2vprep.console.app import Console
from p2vprep.console.backend import Machine
from p2vprep.engine.options import Options
from testdata.build import build_machine
from tests.console import driving as driving_module
from tests.console.driving import Drive, driving

CHECKOUT = Path(__file__).resolve().parents[1]
IMAGES = CHECKOUT / "docs" / "images"
PLACE = CHECKOUT / "build" / "screenshots"
SIZE = (118, 28)
_FONT_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def without_fonts(svg: str) -> str:
    """The picture without fonts from elsewhere: it is shown with the reader's own monospaced font."""
    return _FONT_FACES.sub("", svg).replace("font-family: Fira Code, monospace", "font-family: monospace")


async def play(disk: Path) -> None:
    """Goes through the console as the how-to does, taking pictures."""
    async with driving(Machine([disk], Options()), SIZE) as drive:
        await drive.opened()
        await drive.press("slash")
        await drive.type("hp ")
        await drive.press("enter", "x", "down", "x", "down", "x")
        await drive.until(lambda: len(drive.collected) == 3)
        await _take(drive, "services")
        await drive.press("3")
        await _take(drive, "adapters")
        await drive.press("4")
        await drive.at_key("SYSTEM", "ControlSet001\\Services\\Tcpip\\Parameters")
        await _take(drive, "registry")
        await drive.press("a")
        await drive.dialog("What will be done")
        await _take(drive, "review")


async def _take(drive: Drive, name: str) -> None:
    await drive.pilot.pause(0.5)
    app: Console = drive.app
    picture = without_fonts(app.export_screenshot(title="p2vprep console"))
    (IMAGES / f"console-{name}.svg").write_text(picture, encoding="utf-8")


def main() -> None:
    """Makes the sample machine and takes all pictures."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    IMAGES.mkdir(parents=True, exist_ok=True)
    disk = build_machine("proliant-2012r2", PLACE / "srv-erp01.vhd", cache=CHECKOUT / "build" / "testdata")
    driving_module.PATIENCE = 900.0  # the appliance takes its time on a busy machine
    asyncio.run(play(disk))


if __name__ == "__main__":
    main()
