"""What holds for every test: virtual time by default, and nothing left running at the end.

An asynchronous test runs on ``edge.runtime.virtual.VirtualLoop`` unless it is marked ``real_time``: an hour of waiting costs
nothing, and two runs are alike to the nanosecond. After the test and its fixtures no asyncio task may be pending, and after its
loop is closed no new non-daemon thread and no new child process may be left. What fixtures of a wider scope hold is theirs.
"""

from __future__ import annotations

import asyncio
import fcntl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import psutil
import pytest
import pytest_asyncio
from hypothesis import settings

from edge.runtime.virtual import VirtualLoop

pytest_plugins = ["pytester"]

# CI machines are shared: an example that takes long there tells nothing, and a run that fails must fail again at the next try.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

GRACE_S = 2.0
"""Real seconds that a thread or a process may take to finish dying, all together."""
PATIENCE_S = 30.0
"""Real seconds after which a test in virtual time that waits for nothing fails instead of waiting on."""
_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""The standard library's own processes: it starts them once and keeps them to the end."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("real_time"):
        return {"real_time": asyncio.new_event_loop}
    return {"virtual": lambda: VirtualLoop(patience=PATIENCE_S)}


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Two processes share the tests (pytest-xdist, ``loadgroup``). A module stays in one, with its fixtures; what runs in real
    # time stays in one altogether, so that no two tests that need the clock contend for the cores.
    for item in items:
        group = "real time" if item.get_closest_marker("real_time") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # A real browser, a real session and their clocks want both cores: while one of its tests runs, the other process waits.
    if not hasattr(request.config, "workerinput"):
        yield
        return
    alone = request.node.nodeid.startswith("tests/browser/")
    with (tmp_path_factory.getbasetemp().parent / "cores.lock").open("w") as cores:
        fcntl.flock(cores, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture(autouse=True)
def no_leaked_threads(undisturbed: None) -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in left:
        thread.join(GRACE_S / len(left))
    alive = [thread.name for thread in left if thread.is_alive()]
    assert not alive, f"threads left running: {', '.join(alive)}"


@pytest.fixture(autouse=True)
def no_leaked_processes(no_leaked_threads: None) -> Iterator[None]:
    before = set(psutil.Process().children())
    yield
    left = [child for child in psutil.Process().children() if child not in before and not _helps(child)]
    _, alive = psutil.wait_procs(left, GRACE_S)
    assert not alive, f"child processes left running: {', '.join(_command(child) for child in alive)}"


@pytest.fixture(autouse=True)
def no_leaked_tasks(no_leaked_processes: None, request: pytest.FixtureRequest) -> None:
    # Being set up before the test's own fixtures, the guard is torn down after them, on the loop that they used.
    if pytest_asyncio.is_async_test(request.node):
        request.getfixturevalue("_task_guard")


@pytest_asyncio.fixture
async def _task_guard() -> AsyncIterator[None]:
    yield
    for _ in range(3):
        # A cancelled task sees its cancellation in the next turn of the loop; a dropped generator closes in the one after.
        await asyncio.sleep(0)
    pending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not pending, f"tasks left pending: {', '.join(map(repr, pending))}"


def _helps(process: psutil.Process) -> bool:
    return any(helper in _command(process) for helper in _HELPERS)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or f"zombie {process.pid}"
    except psutil.Error:
        return f"process {process.pid}"
