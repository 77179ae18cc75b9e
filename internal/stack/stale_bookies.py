"""Deregisters the bookies that a killed broker has left registered in its metadata.

A bookie that finds itself registered deletes the registration and registers again. It is notified
of the deletion, its own, and compares the registration with the wanted one. The two are never
equal, because the class has no `equals` (BookieServiceInfo, BookKeeper 4.17): so it deletes and
registers again, hundreds of times a second, and the broker's start fails for lack of a bookie.
Pulsar 4.0.8 did so after about every second kill. The loop: apache/pulsar #17759. Without a
registration nothing is deleted: so the bookie is deregistered before the broker starts.

Runs in a process of its own (`python stale_bookies.py HOME METADATA`), because it needs a JVM:
Pulsar's own RocksDB reads and writes the file, so that its format stays what Pulsar expects.
Imports nothing of Souk, because the image of the functions contains only this file.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jpype

PREFIX = b"/ledgers/available/"
READ_ONLY_BOOKIES = PREFIX + b"readonly"
"""A folder of registrations, not a registration."""
JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m")
"""The JVM runs for a fifth of a second."""


def deregister_all(home: Path, metadata: Path) -> list[str]:
    """Delete all registrations of bookies; return the bookies' addresses.

    Args:
        home: an unpacked Pulsar.
        metadata: the folder of a standalone's metadata, while no broker runs on it.

    Raises:
        FileNotFoundError: `home` is not a Pulsar.
        jpype.JException: `metadata` is not a standalone's metadata, or a broker has it open.
    """
    jars = [str(jar) for jar in home.glob("lib/*rocksdbjni*.jar")]
    if not jars:
        raise FileNotFoundError(f"{home} is not a Pulsar: it has no RocksDB in lib")
    jpype.startJVM(*JAVA, classpath=jars)
    options = jpype.JClass("org.rocksdb.Options")().setKeepLogFileNum(1)
    database = jpype.JClass("org.rocksdb.RocksDB").open(options, str(metadata))
    at_once = jpype.JClass("org.rocksdb.WriteOptions")().setSync(True)
    try:
        found = list(_registered(database))
        for key in found:
            database.delete(at_once, key)
    finally:
        database.close()
    return [key.removeprefix(PREFIX).decode() for key in found]


def _registered(database: Any) -> Iterator[bytes]:  # noqa: ANN401 - a Java object
    every = database.newIterator()
    try:
        every.seek(PREFIX)
        while every.isValid() and (key := bytes(every.key())).startswith(PREFIX):
            if key != READ_ONLY_BOOKIES:
                yield key
            every.next()
    finally:
        every.close()


def main(arguments: list[str]) -> str:
    """Deregister all bookies if there is any metadata yet; return a line for each.

    Raises:
        SystemExit: it failed; the message says why.
    """
    try:
        home, metadata = map(Path, arguments)
    except ValueError:
        sys.exit("usage: stale_bookies.py HOME METADATA")
    if not (metadata / "CURRENT").is_file():
        return ""
    try:
        return "".join(f"was still registered: {name}\n" for name in deregister_all(home, metadata))
    except (OSError, jpype.JException) as error:
        sys.exit(f"{metadata}: {error}")


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]))
