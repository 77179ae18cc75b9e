"""API keys are found in the right order, and half a certificate is refused."""

from pathlib import Path

import pytest

from internal.client import access
from internal.kernel import errors


def test_the_file_named_goes_before_the_environment_and_that_before_the_demo(
    tmp_path: Path,
) -> None:
    named, demo = tmp_path / "named", tmp_path / "demo"
    demo.write_text("of the demo\n")
    named.write_text("named")
    variable = {"SOUK_API_KEY": "variable"}
    assert access.find_api_key(named, variable, demo) == "named"
    assert access.find_api_key(None, variable, demo) == "variable"
    assert access.find_api_key(None, {}, demo) == "of the demo"


def test_an_empty_variable_is_a_mistake_and_never_the_demo_key(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    demo.write_text("of the demo\n")
    with pytest.raises(errors.Misconfigured, match="SOUK_API_KEY holds no API key"):
        access.find_api_key(None, {"SOUK_API_KEY": ""}, demo)


def test_no_key_names_every_place(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match=r"--api-key-file.*SOUK_API_KEY.*nowhere"):
        access.find_api_key(None, {}, tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", " \n", "two\nlines", "schlüssel"])
def test_a_text_that_cannot_be_a_key_is_refused_and_not_repeated(
    content: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(errors.Misconfigured, match="holds no API key") as refused:
        access.find_api_key(file, {}, file)
    assert not content.strip() or content not in str(refused.value)


def test_a_caller_may_know_the_form_of_a_key(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="SOUK_API_KEY holds no API key"):
        access.find_api_key(None, {"SOUK_API_KEY": "x"}, tmp_path, is_key=lambda _: False)


@pytest.mark.parametrize(
    ("half", "what"),
    [
        ({"cert_file": Path("c")}, "go together"),
        ({"key_file": Path("k"), "ca_file": Path("a")}, "go together"),
        ({"cert_file": Path("c"), "key_file": Path("k")}, "needs --tls-ca"),
        ({"ca_file": Path("no-such-file")}, "no-such-file: No such file"),
    ],
)
def test_half_a_certificate_is_refused(half: dict[str, Path], what: str) -> None:
    with pytest.raises(errors.Misconfigured, match=what):
        access.credentials(access.Access("h:1", "key", **half))


def test_without_an_authority_there_is_no_tls() -> None:
    assert access.credentials(access.Access("h:1", "key")) is None


@pytest.mark.parametrize(
    ("target", "is_loopback"),
    [
        ("127.0.0.1:50051", True),
        ("[::1]:50051", True),
        ("localhost:1", True),
        ("unix:/run/souk", True),
        ("10.0.0.1:50051", False),
        ("souk.example.org:443", False),
    ],
)
def test_clear_text_stays_on_this_machine(target: str, is_loopback: bool) -> None:  # noqa: FBT001 - as pytest calls it
    assert access.is_loopback(target) is is_loopback
