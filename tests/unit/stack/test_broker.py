"""The environment in which the broker is started."""

from pathlib import Path

import pytest

from internal.stack import broker, layout, ports, prerequisites


def test_java_home_follows_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "jvm" / "java-17" / "bin" / "java"
    link = tmp_path / "usr" / "bin" / "java"
    for file in (java, link):
        file.parent.mkdir(parents=True)
    java.touch()
    link.symlink_to(java)
    monkeypatch.setattr(prerequisites, "java", lambda: str(link))
    made = broker.Broker(layout.Folder(tmp_path / "stack"), ports.Ports(), tmp_path / "pulsar")
    assert made.environment({})["JAVA_HOME"] == str(tmp_path / "jvm" / "java-17")
