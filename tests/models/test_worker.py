import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import EngineFailed, EngineHung
from edge.ports import Stop
from models.pipe import MAX_BODY, BadFrame, Frame, Frames
from models.worker import Worker

ROGUE = "tests.models.rogue_worker"


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(ROGUE, time_limit=5)
    yield made
    made.close()


def echo(worker: Worker, text: str) -> str:
    (frame,) = worker.request({"op": "echo", "text": text}, b"\0\1", Stop())
    assert frame.body == b"\0\1"
    return str(frame.header["text"])


@given(
    st.lists(st.tuples(st.dictionaries(st.text(max_size=5), st.integers() | st.text()), st.binary(max_size=50)), max_size=5),
    st.data(),
)
def test_frames_survive_any_cut(messages: list[tuple[dict[str, object], bytes]], data: st.DataObject) -> None:
    stream = b"".join(Frame(header, body).encode() for header, body in messages)
    frames, got = Frames(), []
    while stream:
        size = data.draw(st.integers(1, 40))
        frames.feed(stream[:size])
        stream = stream[size:]
        while (frame := frames.next()) is not None:
            got.append((dict(frame.header), frame.body))
    assert got == messages


@pytest.mark.parametrize("data", [b"\xff" * 8, b"\0\0\0\1\0\0\0\0x", b"\0\0\0\1\0\0\0\0001", b"\0\0\0\0\0\0\0\0"])
def test_nonsense_is_no_frame(data: bytes) -> None:
    frames = Frames()
    frames.feed(data)
    with pytest.raises(BadFrame):
        frames.next()


def test_it_answers_and_ends_in_order(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    assert worker.pid is None
    with caplog.at_level(logging.WARNING):
        pid = worker.start()["pid"]
        assert worker.pid == pid
        assert echo(worker, "größe 😀") == "größe 😀"
        worker.close()
        worker.close()
    assert not psutil.pid_exists(pid)
    assert "a library prints this" in caplog.text
    assert "ends in order" in caplog.text


def test_an_error_of_the_child_costs_nothing_else(worker: Worker) -> None:
    pid = worker.start()["pid"]
    with pytest.raises(EngineFailed, match="no such thing"):
        list(worker.request({"op": "fail"}, b"", Stop()))
    with pytest.raises(EngineFailed, match="too many"):
        list(worker.request({"op": "echo"}, bytes(MAX_BODY + 1), Stop()))
    assert echo(worker, "a") == "a"
    assert worker.pid == pid


@pytest.mark.parametrize("op", ["crash", "babble"])
def test_a_crash_costs_one_request(worker: Worker, op: str) -> None:
    pid = worker.start()["pid"]
    with pytest.raises(EngineFailed, match="status -11" if op == "crash" else "announced"):
        list(worker.request({"op": op}, b"", Stop()))
    assert not psutil.pid_exists(pid)
    assert echo(worker, "again") == "again"


def test_a_death_between_two_requests_costs_nothing(worker: Worker) -> None:
    psutil.Process(worker.start()["pid"]).kill()
    deadline = time.monotonic() + 5
    while psutil.Process(worker.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert echo(worker, "again") == "again"


def test_a_hang_costs_one_request() -> None:
    worker = Worker(ROGUE, time_limit=2)
    pid = worker.start()["pid"]
    with pytest.raises(EngineHung):
        list(worker.request({"op": "hang"}, b"", Stop()))
    assert not psutil.pid_exists(pid)
    assert echo(worker, "again") == "again"
    worker.close()


def test_stop_and_leaving_cancel_a_long_request(worker: Worker) -> None:
    pid = worker.start()["pid"]
    stop = Stop()
    frames = worker.request({"op": "count", "until": 10**9}, b"", stop)
    assert [next(frames).header["number"] for _ in range(3)] == [0, 1, 2]
    stop.set()
    assert list(frames) == []
    frames = worker.request({"op": "count", "until": 10**9}, b"", Stop())
    next(frames)
    frames.close()
    assert echo(worker, "again") == "again"
    assert worker.pid == pid, "the child was not replaced for that"


def test_a_cancelled_request_that_does_not_end_does_not_hold_the_lane() -> None:
    worker = Worker(ROGUE, time_limit=1)
    pid = worker.start()["pid"]
    stop = Stop()
    frames = worker.request({"op": "hang"}, b"", stop)
    next(frames)
    stop.set()
    began = time.monotonic()
    assert list(frames) == []
    assert time.monotonic() - began < 0.5
    assert echo(worker, "again") == "again"
    assert worker.pid != pid
    worker.close()


def test_close_from_another_thread_ends_a_request(worker: Worker) -> None:
    frames = worker.request({"op": "hang"}, b"", Stop())
    next(frames)
    closer = threading.Timer(0.1, worker.close)
    closer.start()
    with pytest.raises(EngineFailed):
        next(frames)
    closer.join()


def test_a_module_that_cannot_start_is_a_clear_error() -> None:
    with pytest.raises(EngineFailed, match="did not start"):
        Worker("models.no_such_worker", time_limit=5).start()


def test_no_orphan_outlives_a_killed_parent() -> None:
    code = f"from models.worker import Worker; print(Worker({ROGUE!r}, time_limit=5).start()['pid'], flush=True); input()"
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env=os.environ | {"PYTHONPATH": root},
    ) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        assert os.getsid(child.pid) == child.pid, "Ctrl-C in the parent's terminal does not reach it"
        parent.kill()
    assert not psutil.wait_procs([child], timeout=5)[1]
