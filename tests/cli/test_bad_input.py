"""Bad input gets one clear line and the right exit status, and never a traceback."""

from __future__ import annotations

import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge.app import choices
from models.fakes import silence, tone
from tests.cli.command import Command, Outcome


def assert_refused(outcome: Outcome, status: int, *says: str) -> None:
    assert outcome.status == status, outcome.err
    lines = outcome.err.strip().splitlines()
    text = " ".join(lines)
    assert "Traceback" not in outcome.err
    assert all(part in text for part in says), outcome.err
    if status == 1:
        assert len(lines) == 1 and lines[0].startswith("nearsight: "), outcome.err


def header_only(path: Path) -> Path:
    soundfile.write(path, np.zeros(0, np.int16), 16000)
    return path


def bytes_of(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def huge_png(path: Path) -> Path:
    """The header of a 20,000 x 10,000 picture, and no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    return bytes_of(
        path, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("name", ["text.wav", "empty.wav", "header.wav"])
@pytest.mark.parametrize("command", [("transcribe",), ("ask", "--no-wake", "--fast", "--audio")], ids=["transcribe", "ask"])
def test_what_is_no_sound(nearsight: Command, tmp_path: Path, command: tuple[str, ...], name: str) -> None:
    path = tmp_path / name
    match name:
        case "text.wav":
            path.write_text("this is not a recording\n" * 20)
        case "empty.wav":
            path.touch()
        case _:
            header_only(path)
    assert_refused(nearsight(*command, path), 1, name)


def test_what_is_no_picture(nearsight: Command, tmp_path: Path) -> None:
    path = tmp_path / "sign.jpg"
    path.write_text("not a picture")
    assert_refused(nearsight("read", path), 1, "sign.jpg")
    assert_refused(nearsight("ask", "--text", "what does this say", "--image", path), 1, "sign.jpg")


def test_a_picture_of_200_megapixels_is_refused_unread(nearsight: Command, tmp_path: Path) -> None:
    assert_refused(nearsight("read", huge_png(tmp_path / "huge.png")), 1, "huge.png")


def test_a_file_that_is_not_there(nearsight: Command, tmp_path: Path) -> None:
    for words in (("transcribe", "no.wav"), ("read", "no.png"), ("ask", "--audio", "no.wav")):
        assert_refused(nearsight(*words), 2, words[-1], "no such file")


def test_a_video_without_frames(nearsight: Command, tmp_path: Path) -> None:
    path = tmp_path / "film.wav"
    soundfile.write(path, tone(0.5), 16000)
    assert_refused(nearsight("ask", "--text", "what is this", "--video", path), 1, "film.wav")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("ask", "--text", "hello", "--profile", "bundeld"), "bundled"),
        (("models", "pull", "smolm2"), "smollm2"),
        (("models", "verify", "nothing-like-it"), "nothing-like-it"),
        (("run", "--link", "fil:x"), "file"),
        (("run", "--link", "ble:xx"), "ble:xx"),
        (("run",), "no link"),
        (("run", "--link", "sim:", "--capture", "x.pcapng"), "there are 0"),
        (("run", "--link", "webrtc://127.0.0.1:0", "--link", "xiaozhi://127.0.0.1:0", "--capture", "x"), "there are 2"),
        (("run", "--link", "webrtc://127.0.0.1:70000"), "70000"),
        (("simulate", "--port", "70000"), "65535"),
        (("ask",), "either --audio"),
        (("ask", "--text", "a", "--audio", "b.wav"), "either --audio"),
        (("frobnicate",), "No such command"),
        (("read",), "Missing argument"),
    ],
)
def test_wrong_usage(nearsight: Command, words: tuple[str, ...], says: str) -> None:
    assert_refused(nearsight(*words), 2, says)


@pytest.mark.parametrize("command", ["run", "simulate"])
def test_a_port_that_somebody_else_has(nearsight: Command, tmp_path: Path, command: str) -> None:
    config = tmp_path / "bare.toml"
    ports = [port for port in choices() if port != "profile"]
    config.write_text(f"[serve]\nstate = '{tmp_path}'\n" + "".join(f"[{port}]\nengine = 'none'\n" for port in ports))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place = ("--link", f"webrtc://127.0.0.1:{port}") if command == "run" else ("--port", port, "--no-browser")
        assert_refused(nearsight(command, *place, "--config", config), 1, str(port))


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[turns]\nmin_silense = 1.0\n", "did you mean 'min_silence'?"),
        ("[skills]\ndisabled = ['read_txt']\n", "read_text"),
        ("[voice]\nengine = 'espeek'\n", "espeak-ng"),
        ("[wake]\nwords = ['hey_travis']\n", "hey_jarvis"),
        ("[turns\n", "line 1"),
    ],
)
def test_a_configuration_with_an_error_names_the_remedy(nearsight: Command, tmp_path: Path, toml: str, says: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(toml)
    assert_refused(nearsight("ask", "--text", "hello", "--config", path), 2, says)


def test_an_engine_of_a_later_release_says_what_is_missing(nearsight: Command) -> None:
    assert_refused(nearsight("transcribe", __file__, "--profile", "phone"), 1, "not installed", "nearsight models pull")


def test_config_check(nearsight: Command, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[turns]\nwake = false\n")
    good = nearsight("config", "check", path, "--json")
    assert good.status == 0
    assert good.rows[0]["config"]["turns"]["wake"] is False
    assert "wake = false" in nearsight("config", "check", path).out


def test_recording_into_a_folder_of_other_things_is_refused(nearsight: Command, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    assert_refused(nearsight("ask", "--text", "hello", "--record", tmp_path), 2, "holds other files")


def test_a_recording_without_a_question(nearsight: Command, tmp_path: Path) -> None:
    path = tmp_path / "quiet.wav"
    soundfile.write(path, silence(2.0), 16000)
    assert_refused(nearsight("ask", "--audio", path, "--fast"), 1, "nothing was asked", "--no-wake")
