"""Measures the wire codec, and holds the Python one and the C one to each other: ``python -m tools.bench.wire [--fuzz N]``.

Without ``--fuzz``: what a packet and a message cost in Python. With it: N inputs go through both codecs, and the first one that
they answer differently is printed and ends the run. Needs a C compiler then.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from phone_bridge.wire.audio import AudioReceiver, AudioSender
from phone_bridge.wire.codec import decode_event, encode
from phone_bridge.wire.messages import Button
from tools.bench.wire_mirror import OPERATIONS, Inputs, Mirror, digest, record

FIRMWARE = Path(__file__).parents[2] / "firmware_stubs"
BATCH = 2000
"""Steps written before their answers, 8 kB, are read: a pipe holds these."""
FLUSH = b"\xff\0\0"


def build(into: Path, target: str = "all", **variables: str) -> Path:
    """Builds the C programs in a folder and gives it. Raises FileNotFoundError without make, CalledProcessError."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "-s", "-j2", f"BUILD={into}", *settings, target]
    done = subprocess.run(command, cwd=FIRMWARE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return into


def disagreement(program: Path, count: int, seed: int) -> str | None:
    """Runs ``count`` steps through both codecs; gives the first on which they differ, or None."""
    mirror, inputs = Mirror(), Inputs(seed)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        done = 0
        while done < count:
            steps = list(inputs.steps(min(BATCH, count - done)))
            try:
                process.stdin.write(b"".join(record(*step) for step in steps) + FLUSH)
                process.stdin.flush()
            except BrokenPipeError:
                pass  # it has ended: what it answered before that tells where
            ours = b"".join(digest(mirror.step(*step)).to_bytes(4, "little") for step in steps)
            theirs = process.stdout.read(len(ours))
            if ours != theirs:
                process.kill()
                return _first(steps, ours, theirs)
            done += len(steps)
        process.stdin.close()
        return f"the C program ended with {process.returncode}" if process.wait() else None


def _first(steps: list[tuple[int, bytes]], ours: bytes, theirs: bytes) -> str:
    for index, (operation, data) in enumerate(steps):
        if ours[4 * index : 4 * index + 4] != theirs[4 * index : 4 * index + 4]:
            said = "differs" if len(theirs) >= 4 * index + 4 else "is missing: the C program has ended"
            return f"step {index} of its batch, {OPERATIONS[operation]}: {data.hex()}: the C answer {said}"
    return "the C program says too much"


def cost_us(action: Callable[[], object], rounds: int = 2000, repeats: int = 9) -> tuple[float, float, float]:
    """Gives the least, the median and the greatest time of one call, in us, of ``repeats`` means over ``rounds``."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(rounds):
            action()
        found.append((time.perf_counter() - began) / rounds * 1e6)
    return min(found), statistics.median(found), max(found)


def audio_round(frame: bytes, mtu: int) -> Callable[[], object]:
    """Gives a function that cuts a frame for an MTU and puts it together again."""
    sender, receiver = AudioSender(1), AudioReceiver(1)

    def once() -> None:
        for value in sender.packets(frame, 0, mtu):
            receiver.take(value)

    return once


def measure() -> None:
    """Prints what things cost."""
    event = Button(seq=1, time=2, button=0, action=3)
    cases = {f"audio frame of 80 bytes, MTU {mtu}": audio_round(bytes(80), mtu) for mtu in (23, 100, 247)}
    cases["button event"] = lambda: decode_event(encode(event))
    for name, action in cases.items():
        least, median, most = cost_us(action)
        print(f"{name}, encode + decode: median {median:.1f} us ({least:.1f} to {most:.1f})")


def main(arguments: list[str]) -> int:
    """Measures, or fuzzes."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.wire", description=__doc__.partition(":")[0])
    parser.add_argument("--fuzz", type=int, metavar="N", help="inputs for both codecs")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.fuzz is None:
        measure()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder), f"{folder}/wirecheck") / "wirecheck"
        began = time.perf_counter()
        difference = disagreement(program, options.fuzz, options.seed)
        seconds = time.perf_counter() - began
    if difference:
        print(difference)
        return 1
    print(f"{options.fuzz} inputs, no disagreement, {seconds:.0f} s, {seconds / max(options.fuzz, 1) * 1e6:.1f} us each")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
