"""How long an apply takes against the bare appliance, on the same disk in one run.

The yardstick: start the same appliance on the same disk (through an overlay, as
apply does), mount the Windows volume for writing, unmount, shut down. The subject:
the whole command `p2vprep apply --yes`, from process start to exit. Both are run in
turn, and the ratio of the medians is printed. Also printed: what an apply writes
into the image beyond the first-boot files.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from testdata.build import build_machine
from testdata.kit.disks import build_disks, copy_disk, windows_disk

CHECKOUT = Path(__file__).resolve().parents[1]
BARE = """
import sys
from pathlib import Path
from p2vprep.disk import accel, appliance, image, transaction, volume

probed = image.probe(sys.argv[1])
with transaction.scratch([probed]) as overlays:
    with appliance.launch(overlays, read_only=False, accelerator=accel.choose("auto")) as running:
        running.mount(sys.argv[2], "ntfs", writable=True)
        running.umount()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--machine", default="proliant-2012r2", help="a sample machine")
    parser.add_argument("--hive", help="instead: a disk with this SYSTEM hive, a file")
    chosen = parser.parse_args()
    with TemporaryDirectory(prefix="p2vprep-bench-") as folder:
        bare, applied, written = [], [], 0
        for number in range(chosen.runs):
            disk = make_disk(chosen, Path(folder), f"disk-{number}.vhd")
            bare.append(timed([sys.executable, "-c", BARE, str(disk), "/dev/sda2"])[0])
            seconds, output = timed([sys.executable, "-m", "p2vprep", "apply", str(disk), "--yes", "--json"])
            applied.append(seconds)
            written = json.loads(output)["written_bytes"]
            print(f"run {number + 1}: bare appliance {bare[-1]:.2f} s, apply {seconds:.2f} s", flush=True)
    ratio = statistics.median(applied) / statistics.median(bare)
    print(f"apply / bare appliance (medians of {chosen.runs}): {ratio:.3f}  (wanted: at most 1.25)")
    print(f"written into the image: {written / 1024:.0f} KiB  (wanted: under 2048, and the first-boot files)")
    return 0


def make_disk(chosen: argparse.Namespace, folder: Path, name: str) -> Path:
    """A fresh disk to apply to; its Windows lies on the second partition."""
    cache = CHECKOUT / "build" / "testdata"
    if chosen.hive is None:
        return build_machine(chosen.machine, folder / name, cache=cache)
    hive = Path(chosen.hive).read_bytes()
    spec = windows_disk("bench-hive", {"SYSTEM": hive}, container="vpc", junk=True)
    return copy_disk(build_disks([spec], cache)[spec.name], folder, name)


def timed(command: list[str]) -> tuple[float, bytes]:
    """Wall-clock seconds of a whole process, and what it printed. Raises CalledProcessError."""
    started = time.monotonic()
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return time.monotonic() - started, output


if __name__ == "__main__":
    sys.exit(main())
