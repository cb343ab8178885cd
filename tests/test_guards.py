"""The guards of conftest.py are tests of every other test, so they are tested themselves: one inner pytest runs a file of tests
that all pass, and only the guards may have something to say about them."""

from __future__ import annotations

import pytest

INNER_CONFTEST = """
import tests.conftest
from tests.conftest import *
from tests.conftest import _task_guard

pytest_plugins = []
tests.conftest.GRACE_S = 0.2
"""
INNER_INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
addopts = --strict-markers -p no:cacheprovider -p no:hypothesispytest
markers =
    real_time: as in the outer one
"""
INNER_TESTS = """
import asyncio, subprocess, sys, threading, time
import pytest

kept, done = [], threading.Event()

@pytest.fixture(scope="module", autouse=True)
def tidy():
    yield
    done.set()
    for child in kept:
        child.communicate()

@pytest.fixture
async def careless():
    yield asyncio.create_task(asyncio.sleep(9), name="mole")

@pytest.fixture
async def careful():
    task = asyncio.create_task(asyncio.sleep(9))
    yield task
    task.cancel()

async def test_leaks_a_task():
    globals()["task"] = asyncio.create_task(asyncio.sleep(9), name="mole")

@pytest.mark.real_time
async def test_leaks_a_task_in_real_time():
    globals()["task"] = asyncio.create_task(asyncio.sleep(9), name="mole")

async def test_has_a_fixture_that_leaks_a_task(careless):
    assert not careless.done()

async def test_has_a_fixture_that_tidies_up(careful):
    assert not careful.done()

def test_leaks_a_thread():
    threading.Thread(target=done.wait, name="mole").start()

def test_leaves_a_daemon():
    threading.Thread(target=done.wait, daemon=True).start()

@pytest.mark.real_time
async def test_uses_the_executor_of_the_loop():
    await asyncio.to_thread(sum, ())

def test_leaks_a_child():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()", "mole"], stdin=subprocess.PIPE))

def test_waits_for_its_child():
    subprocess.run([sys.executable, "-c", ""], check=True)

async def test_an_hour():
    loop, real = asyncio.get_running_loop(), time.perf_counter()
    began = loop.time()
    await asyncio.sleep(3600)
    assert loop.time() - began == 3600 and time.perf_counter() - real < 60

@pytest.mark.real_time
async def test_in_real_time():
    real = time.perf_counter()
    await asyncio.sleep(0.05)
    assert time.perf_counter() - real >= 0.049
"""
SAID = {
    "test_leaks_a_task": "tasks left pending",
    "test_leaks_a_task_in_real_time": "tasks left pending",
    "test_has_a_fixture_that_leaks_a_task": "tasks left pending",
    "test_leaks_a_thread": "threads left running",
    "test_leaks_a_child": "child processes left running",
}
"""Which inner tests leak, and what the guard says of them."""


def test_the_guards_name_what_leaks_and_nothing_else(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(INNER_CONFTEST)
    pytester.makeini(INNER_INI)
    pytester.makepyfile(INNER_TESTS)

    reports = [call.report for call in pytester.inline_run().getcalls("pytest_runtest_logreport")]

    bodies = {report.location[2]: report.outcome for report in reports if report.when == "call"}
    assert len(bodies) == INNER_TESTS.count("def test_") and set(bodies.values()) == {"passed"}, bodies
    failed = {report.location[2]: report.longreprtext for report in reports if report.when != "call" and report.failed}
    assert failed.keys() == SAID.keys()
    for name, text in failed.items():
        assert SAID[name] in text and "mole" in text
