"""The command ``nearsight``.

Exit status: 0 done, 1 failed (one clear line why, on standard error), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from edge import __version__
from edge.cli.models_app import models_app
from edge.cli.options import ConfigFile, Fast, Image, Json, NoWake, Profile, Record, Video
from edge.errors import NearsightError

INTERRUPTED = 130
LAST_WAIT_S = 0.5
"""How long an engine's thread may take to end after its lane was closed."""

app = typer.Typer(
    name="nearsight",
    help="The open companion for smart glasses: asks, reads, answers, aloud and offline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Checks a configuration.", no_args_is_help=True)
devices_app = typer.Typer(help="The phones, laptops and glasses that may come in.", no_args_is_help=True)
bench_app = typer.Typer(help="Measures this machine.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(config_app, name="config")
app.add_typer(devices_app, name="devices")
app.add_typer(bench_app, name="bench")


def _version(show: bool) -> None:
    if show:
        print(f"nearsight {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, on standard error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )


@app.command()
def demo(
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the session bundle and the reply.")] = None,
    fast: Fast = False,
    json: Json = False,
) -> None:
    """Three spoken questions about pictures, answered aloud: a sign read, a question about it, an interruption."""
    from edge.cli.talk import demo as run

    run(out, fast=fast, as_json=json)


@app.command()
def ask(
    audio: Annotated[Path | None, typer.Option("--audio", help="A spoken question: any audio file.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="A typed question.")] = None,
    image: Image = None,
    video: Video = None,
    no_wake: NoWake = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the reply as a WAV file.")] = None,
    record: Record = None,
    fast: Fast = False,
    profile: Profile = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Asks one question, spoken or typed, about what the camera sees, and answers it."""
    from edge.cli.talk import Question
    from edge.cli.talk import ask as run

    if (audio is None) == (text is None):
        raise typer.BadParameter("give either --audio FILE or --text TEXT")
    if image is not None and video is not None:
        raise typer.BadParameter("give either --image or --video")
    question = Question(audio=audio, text=text, pictures=image or video, wake=not no_wake, out=out, record=record, fast=fast)
    run(question, profile, config, as_json=json)


@app.command(name="run")
def serve(
    link: Annotated[
        list[str] | None,
        typer.Option("--link", "-l", help="webrtc://HOST:PORT, ble:, xiaozhi://HOST:PORT or file:PATH; may be repeated."),
    ] = None,
    record: Record = None,
    capture: Annotated[
        Path | None, typer.Option("--capture", help="Write a link's packets to this file: ble: as btsnoop, others as pcapng.")
    ] = None,
    no_wake: NoWake = False,
    profile: Profile = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Serves glasses until they go away or Ctrl-C."""
    from edge.cli.serve import run

    run(link or [], record, profile, config, wake=not no_wake, as_json=json, capture=capture)


@app.command()
def simulate(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8080,
    host: Annotated[
        str, typer.Option("--host", help="0.0.0.0 lets phones in, with HTTPS; 127.0.0.1 is this machine alone.")
    ] = "127.0.0.1",
    recordings: Annotated[Path, typer.Option("--recordings", help="The folder of recorded sessions.")] = Path("recordings"),
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    no_wake: NoWake = False,
    profile: Profile = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Serves the desktop simulator: a webcam and a microphone in a browser stand in for the glasses."""
    from edge.cli.serve import simulate as run

    run(host, port, recordings, profile, config, wake=not no_wake, browser=not no_browser, as_json=json)


@app.command()
def wyoming(
    uri: Annotated[str, typer.Option("--uri", help="tcp://HOST:PORT or unix:///PATH; it has no passwords.")] = (
        "tcp://127.0.0.1:10400"
    ),
    profile: Profile = None,
    config: ConfigFile = None,
) -> None:
    """Serves this machine's recogniser, voice and wake words to Home Assistant, by the Wyoming protocol."""
    from edge.cli.wyoming import wyoming as run

    run(uri, profile, config)


@app.command()
def transcribe(
    file: Annotated[Path, typer.Argument(help="Any audio file, or a video.")],
    stream: Annotated[bool, typer.Option("--stream", help="Show the partials, at real-time pace.")] = False,
    language: Annotated[str | None, typer.Option("--language", help="A language tag, such as en-us.")] = None,
    profile: Profile = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Turns speech into text, with the time of every word."""
    from edge.cli.transcribe import transcribe as run

    run(file, profile, config, stream=stream, language=language, as_json=json)


@app.command()
def translate(
    file: Annotated[Path, typer.Argument(help="Any audio file, or a video.")],
    to: Annotated[str, typer.Option("--to", help="The language to translate into: es, Spanish.")],
    source: Annotated[str, typer.Option("--from", help="The language that is spoken; the recogniser's own without it.")] = "",
    out: Annotated[Path | None, typer.Option("--out", help="Write the spoken translation to a WAV file.")] = None,
    mix: Annotated[bool, typer.Option("--mix", help="With --out: leave the original under it, quieter.")] = False,
    captions: Annotated[Path | None, typer.Option("--captions", help="Write both texts as .vtt, .srt, .txt or .json.")] = None,
    reference: Annotated[Path | None, typer.Option("--reference", help="A translation to measure BLEU and chrF by.")] = None,
    speech: Annotated[bool, typer.Option("--speech/--no-speech", help="Whether the translation is spoken.")] = True,
    fast: Fast = False,
    profile: Profile = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Translates speech while it is spoken, at its own pace, and says how far behind it was."""
    from edge.cli.translate import Job
    from edge.cli.translate import translate as run

    job = Job(file, to, source, out, mix, captions, reference, speech, fast)
    run(job, profile, config, as_json=json)


@app.command()
def read(
    image: Annotated[Path, typer.Argument(help="A picture.")],
    to: Annotated[str, typer.Option("--to", help="The language to translate the text into: es, Spanish.")] = "",
    source: Annotated[str, typer.Option("--from", help="The language that the text is in; found without it.")] = "",
    profile: Profile = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Reads the text and the codes in a picture, in reading order, and translates the text if asked to."""
    from edge.cli.read import read as run

    run(image, profile, config, as_json=json, to=to, source=source)


@app.command()
def track(
    video: Annotated[Path, typer.Argument(help="A video.")],
    point: Annotated[
        list[str] | None, typer.Option("--point", help="X,Y on what is meant, in pixels; again for a second object.")
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option("--box", help="X0,Y0,X1,Y1 around what is meant; again for a second object.")
    ] = None,
    frame: Annotated[int, typer.Option("--frame", min=0, help="The picture that is meant; the first is 0.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the masks as PNG, and a preview.")] = None,
    profile: Profile = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Cuts out an object of a video and follows it."""
    from edge.cli.track import Job, prompts
    from edge.cli.track import track as run

    run(Job(video, prompts(point or [], box or []), frame, out), profile, config, as_json=json)


@app.command()
def replay(
    bundle: Annotated[Path, typer.Argument(help="A session bundle: the folder that --record wrote.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the reply as a WAV file.")] = None,
    json: Json = False,
) -> None:
    """Feeds a recorded session through the runtime again, in virtual time."""
    from edge.cli.bundle import replay as run

    run(bundle, out, as_json=json)


@app.command()
def report(
    bundle: Annotated[Path, typer.Argument(help="A session bundle.")],
    out: Annotated[Path | None, typer.Option("--out", help="The HTML file; report.html in the bundle by default.")] = None,
) -> None:
    """Writes one HTML page about a recorded session."""
    from edge.cli.bundle import report as run

    run(bundle, out)


@app.command()
def doctor(profile: Profile = None, config: ConfigFile = None, json: Json = False) -> None:
    """Checks this machine: each line is ok, or says how to mend it."""
    from edge.cli.doctor import doctor as run

    run(profile, config, as_json=json)


@config_app.command("check")
def config_check(
    file: Annotated[Path | None, typer.Argument(help="A configuration file; the profile alone by default.")] = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Says whether a configuration can be used, and shows all of it."""
    from edge.cli.config import check

    check(file, profile, as_json=json)


@devices_app.command("list")
def devices_list(profile: Profile = None, config: ConfigFile = None, json: Json = False) -> None:
    """The phones, laptops and glasses that may come in, and those that wait to be let in."""
    from edge.cli import devices

    devices.list_devices(profile, config, as_json=json)


@devices_app.command("approve")
def devices_approve(
    code: Annotated[str, typer.Argument(help="The six digits that the device shows.")],
    wearer: Annotated[str, typer.Option("--wearer", help="Who wears it.")] = "me",
    profile: Profile = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Lets a device in that has no browser and shows six digits."""
    from edge.cli import devices

    devices.approve(code, wearer, profile, config, as_json=json)


@devices_app.command("revoke")
def devices_revoke(
    ids: Annotated[list[str], typer.Argument(help="Identifiers, as list shows them.")],
    profile: Profile = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Shuts devices out, and ends their connections."""
    from edge.cli import devices

    devices.revoke(ids, profile, config, as_json=json)


Turns = Annotated[int, typer.Option("--turns", min=1, help="How many turns are measured.")]


@bench_app.command("turn")
def bench_turn(turns: Turns = 20, json: Json = False) -> None:
    """What the runtime adds to the critical path of scripted engines, in virtual and in real time."""
    from edge.bench.turn import main as run

    run(turns, as_json=json)


@bench_app.command("answer")
def bench_answer(turns: Turns = 10, profile: Profile = None, json: Json = False) -> None:
    """The real engines: each stage alone, and whole turns; barge-in and how fast the engines let go."""
    from edge.bench.answer import main as run

    run(turns, profile, as_json=json)


@bench_app.command("wearers")
def bench_wearers(
    most: Annotated[int, typer.Option("--most", min=1, help="Where to stop.")] = 8,
    turns: Annotated[int, typer.Option("--turns", min=1, help="How many questions each wearer asks.")] = 5,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """How many wearers this machine serves before their answers take twice as long."""
    from edge.bench.wearers import main as run

    run(most, turns, profile, as_json=json)


@bench_app.command("hop")
def bench_hop(json: Json = False) -> None:
    """What a hand-over costs: channel, lane, session."""
    from edge.bench.hop import main as run

    run(as_json=json)


@bench_app.command("soak")
def bench_soak(
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.1, help="Minutes of dialogue, as fast as the machine can.")
    ] = 60.0,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Hours of dialogue as fast as the machine can: does memory stay flat, does nothing leak."""
    from edge.bench.soak import main as run

    run(minutes, profile, as_json=json)


def main() -> None:
    """Runs a command; every error becomes one line and an exit status."""
    try:
        app()
    except NearsightError as error:
        print(f"nearsight: {error.text}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:  # while typer still read the commands
        print("nearsight: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Ctrl-C before the command's own loop ran: typer ends without a word
            print("nearsight: interrupted", file=sys.stderr)
        raise


def console() -> None:
    """Runs a command in a process of its own, which ends with the command's status though an engine hangs in native code."""
    try:
        main()
    except SystemExit as end:
        # The interpreter's own end would tear such a thread out of its C++ frames, which aborts the process: status 134. And
        # after a Ctrl-C that fell into an exec() (every dataclass has one) it ends by the signal, although that was handled.
        lanes = [thread for thread in threading.enumerate() if thread.name.startswith("lane-")]
        for thread in lanes:
            thread.join(LAST_WAIT_S)
        if isinstance(end.code, int) and (end.code == INTERRUPTED or any(thread.is_alive() for thread in lanes)):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


if __name__ == "__main__":
    console()
