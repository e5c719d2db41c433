"""What can be wrong with the drivers of a virtio-win kit for one Windows, told before the boot."""

from __future__ import annotations

import re
from collections.abc import Iterator

from p2vprep.core.driver_database import has_database
from p2vprep.core.model import Hazard, Severity, Skip
from p2vprep.core.pe import read_program
from p2vprep.core.registry import find, fold
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.virtio import (
    DRIVERS,
    Certificate,
    DriverKit,
    DriverPackage,
    knows_sha2,
    needs_embedded_signature,
)
from p2vprep.errors import DocumentError

_RULE = "virtio"
_KERNEL_DRIVER = 1
_BINARY = re.compile(r"[A-Za-z0-9_-]{1,60}\.sys", re.IGNORECASE)
_SUBKEY = re.compile(r"[A-Za-z0-9_]+(\\[A-Za-z0-9_]+)*")
_EIGHT = (6, 2)
_PACKAGES = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages"
_SHA2_UPDATES = ("PACKAGE_FOR_KB3033929~", "PACKAGE_FOR_KB4474419~", "PACKAGE_FOR_ROLLUPFIX~")
"""The first two bring SHA-2 for drivers (Microsoft KB3033929, KB4474419); monthly rollups hold them."""
_INSTALLED = 0x70
"""CurrentState of an update that is installed (CBS_PACKAGE_STATE of the servicing stack)."""
_OLDER = "Older virtio-win releases have the drivers of older Windows."


def about_kit(kit: DriverKit, context: RuleContext) -> Iterator[Hazard | Skip]:
    """What the kit lacks for this Windows, and what it has to make do with."""
    guest = context.facts.guest
    here = f"{guest.product} ({guest.architecture})"
    looked = f"looked for: {', '.join(kit.wanted) or 'no folder is for this Windows'}"
    there = f"there is: {', '.join(kit.others) or 'nothing in folders of a Windows'}"
    evidence = (looked, there, *kit.unfit)
    names = {package.driver.name for package in kit.packages}
    storage = [driver for driver in DRIVERS if driver.purpose == "storage"]
    lacking = [driver for driver in storage if driver.name not in names]
    if len(lacking) == len(storage):
        yield Hazard(
            "virtio-driver-missing",
            "refuse",
            f"{kit.source} has no virtio storage driver for {here}: from a virtio disk it would stop "
            "with 0x7B",
            evidence,
            _OLDER + " Or leave --virtio-win out and give the machine an IDE or SATA disk.",
            liftable=False,
        )
    else:
        for driver in lacking:
            yield Skip(_RULE, driver.name, f"{kit.source} has none for {here}; {driver.what} do not work")
    if "netkvm" not in names:
        yield Hazard(
            "virtio-network-missing",
            "warn",
            f"{kit.source} has no virtio network driver for {here}",
            evidence,
            "Give the machine an e1000 adapter. " + _OLDER,
        )
    substitutes = [package.where for package in kit.packages if not package.exact]
    if substitutes:
        yield Hazard(
            "virtio-substitute",
            "warn",
            f"{kit.source} has no folder {kit.wanted[0]}; drivers for a Windows that serves {here} as well "
            "are taken",
            tuple(substitutes),
            "A newer virtio-win may have the folder.",
        )
    if names and guest.version.nt >= _EIGHT and not has_database(context.system):
        yield Hazard(
            "no-driver-database",
            "refuse",
            "the SYSTEM hive has no DriverDatabase, so a new boot driver cannot be made known",
            cure="Leave --virtio-win out, and install the drivers in the running machine.",
            liftable=False,
        )


def about_package(package: DriverPackage, context: RuleContext) -> Iterator[Hazard]:
    """Why this package must not be put into this Windows; nothing where all is well."""
    fault = _fault(package, context)
    boots = package.driver.purpose == "storage"
    severity: Severity = "refuse" if boots else "warn"
    if fault is not None:
        yield Hazard(
            "virtio-driver-unfit",
            severity,
            f"{package.where}/{package.inf_name} is not for this Windows: {fault}",
            cure="Take the files of an unchanged virtio-win release.",
            liftable=False,
        )
    elif boots:
        yield from _about_signature(package, context)


def _fault(package: DriverPackage, context: RuleContext) -> str | None:
    service = package.inf.service
    if not _BINARY.fullmatch(service.binary):
        return f"its driver file is called {service.binary!r}"
    if package.driver.purpose == "storage":
        if fold(service.name) != fold(package.driver.name) or service.type != _KERNEL_DRIVER:
            return f"its service {service.name!r} is not that of {package.driver.name}"
        if strange := [subkey for subkey, _name, _number in service.numbers if not _SUBKEY.fullmatch(subkey)]:
            return f"it writes to the strange key {strange[0]!r}"
    try:
        machine = read_program(package.file(service.binary) or b"").machine
    except DocumentError as problem:
        return f"{service.binary}: {problem.message}"
    wanted = context.facts.guest.architecture
    return None if machine == wanted else f"{service.binary} is for {machine}, Windows for {wanted}"


def _about_signature(package: DriverPackage, context: RuleContext) -> Iterator[Hazard]:
    guest = context.facts.guest
    if not needs_embedded_signature(guest.version, guest.architecture):
        return
    binary = package.inf.service.binary
    signatures = read_program(package.file(binary) or b"").signatures
    if not signatures:
        yield Hazard(
            "virtio-driver-unsigned",
            "refuse",
            f"{package.where}/{binary} is not signed in itself: the boot loader stops with 0xC0000428",
            cure="Take the files of a virtio-win release; lift this only for a Windows in test mode",
        )
    elif "sha2" in signatures and "sha1" not in signatures and not _reads_sha2(context):
        yield Hazard(
            "virtio-driver-sha2",
            "refuse",
            f"{package.where}/{binary} is signed with SHA-2 only, and {guest.product} has no update that "
            "reads it: the boot loader stops with 0xC0000428",
            (f"no installed package of {', '.join(name.title() for name in _SHA2_UPDATES)}",),
            "Install KB3033929 or KB4474419 before the conversion, or take an older virtio-win",
        )


def _reads_sha2(context: RuleContext) -> bool:
    if knows_sha2(context.facts.guest.version):
        return True
    software = context.hives.get("SOFTWARE")
    packages = None if software is None else find(software, _PACKAGES)
    for key in () if packages is None else packages.subkeys():
        if fold(key.name).startswith(_SHA2_UPDATES):
            state = key.value("CurrentState")
            if state is not None and state.number == _INSTALLED:
                return True
    return False


def trusted(context: RuleContext, certificate: Certificate) -> bool:
    """Whether this Windows trusts the publisher already."""
    software = context.hives.get("SOFTWARE")
    place = r"Microsoft\SystemCertificates\TrustedPublisher\Certificates"
    key = None if software is None else find(software, place)
    return key is not None and key.subkey(certificate.thumbprint) is not None
