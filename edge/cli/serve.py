"""``run`` and ``simulate``: serving glasses that come and go."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from edge import app
from edge.cli import loop
from edge.cli.output import Output
from edge.config import Config
from edge.errors import NearsightError, UsageError
from edge.events import Event
from edge.household import Household, Watcher, local_time
from edge.ports import Link, Station
from edge.runtime.session import Session

CAPTURED = ("ble:", "webrtc:", "xiaozhi:")
"""Links whose packets can be written down."""
OWNER = "me"
"""The wearer whom the first invitation is for."""


class Printer:
    """Prints what happens in a household: for people, or a JSON object a line."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def joined(self, wearer: str, session: Session, link: Link) -> None:
        """Nothing: the session tells of its beginning itself."""

    def event(self, wearer: str, event: Event) -> None:
        """Prints an event."""
        self._output.event(event, wearer)

    def left(self, wearer: str) -> None:
        """Nothing: the session tells of its end itself."""


class Everybody:
    """Several watchers as one."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def joined(self, wearer: str, session: Session, link: Link) -> None:
        """Passes it on."""
        for watcher in self._watchers:
            watcher.joined(wearer, session, link)

    def event(self, wearer: str, event: Event) -> None:
        """Passes it on."""
        for watcher in self._watchers:
            watcher.event(wearer, event)

    def left(self, wearer: str) -> None:
        """Passes it on."""
        for watcher in self._watchers:
            watcher.left(wearer)


def run(
    links: Sequence[str],
    record: Path | None,
    profile: str | None,
    file: Path | None,
    *,
    wake: bool,
    as_json: bool,
    capture: Path | None = None,
) -> None:
    """Serves every link and everybody who comes, until all links have ended or Ctrl-C.

    ``capture`` is the file for the packets of the one link of which a capture can be kept.
    """
    changes: dict[str, Any] = {"turns": {"wake": wake}}
    if record is not None:
        changes["recording"] = {"folder": str(record)}
    config = app.load_config(profile, file, changes)
    uris = links or config.links
    if not uris:
        raise UsageError("no link: give --link URI, or links = [...] in the configuration")
    output = Output(as_json=as_json)
    fit = [uri for uri in uris if uri.startswith(CAPTURED)]
    if capture is not None and len(fit) != 1:
        raise UsageError(f"--capture is for one link ({' '.join(CAPTURED)}), and there are {len(fit)}")
    opened = [app.open_link(uri, **_options(uri, config, capture)) for uri in uris]
    _until_stopped(_run(config, opened, output))


def _until_stopped(serving: Coroutine[Any, Any, None]) -> None:
    """Serves until the end or Ctrl-C. Of the errors of several tasks, one that people can read is raised."""
    try:
        loop.run(serving)
    except loop.Interrupted:
        print("nearsight: stopped", file=sys.stderr)
    except BaseExceptionGroup as errors:
        known = errors.subgroup(NearsightError)
        raise (_first(known) if known is not None else errors) from None


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    """The first error of a tree of groups."""
    inner: BaseException = errors
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


def _options(uri: str, config: Config, capture: Path | None) -> dict[str, Any]:
    options: dict[str, Any] = {"serve": config.serve} if uri.startswith(("webrtc:", "xiaozhi:")) else {}
    if capture is not None and uri.startswith(CAPTURED):
        options |= {"capture": capture, "began": local_time().timestamp()}
    return options


async def _run(config: Config, opened: Sequence[Link | Station], output: Output) -> None:
    async with Household(config, Path("recordings"), Printer(output)) as household, asyncio.TaskGroup() as group:
        for served in opened:
            if isinstance(served, Station):
                group.create_task(_attend(household, served))
            else:
                group.create_task(household.serve(served, served.uri))


async def _attend(household: Household, station: Station) -> None:
    try:
        await station.open()
        _invite(station.invite("wearer", OWNER), station)
        await household.attend(station)
    finally:
        await station.close()


def _invite(url: str, station: Station) -> None:
    """Shows where a device finds us, on standard error: standard output is for events."""
    if station.uri.startswith("xiaozhi:"):
        how = "Give the device this OTA address in its Wi-Fi setup, within ten minutes"
    else:
        how = "Open this once, on the phone or laptop that is to be the glasses"
    print(f"nearsight: serving {station.uri}. {how}:\n", file=sys.stderr)
    print(f"  {url}\n\n{app.qr_code(url)}", file=sys.stderr)
    _warn_of(station.fingerprint)


def _warn_of(fingerprint: str) -> None:
    """Says what a browser will warn of."""
    if fingerprint:
        text = "The browser will warn of a certificate made on this machine; its SHA-256 is"
        print(f"{text}\n  {fingerprint}", file=sys.stderr, flush=True)


def simulate(
    host: str, port: int, recordings: Path, profile: str | None, file: Path | None, *, wake: bool, browser: bool, as_json: bool
) -> None:
    """Serves the desktop simulator and opens it in a browser, until Ctrl-C. Fetches missing models first."""
    from edge.cli.models import ensure

    config = app.load_config(profile, file, {"turns": {"wake": wake}})
    ensure(config, as_json=as_json)
    output = Output(as_json=as_json)
    _until_stopped(_simulate(config, f"webrtc://{host}:{port}", recordings, output, browser=browser))


async def _simulate(config: Config, uri: str, recordings: Path, output: Output, *, browser: bool) -> None:
    from edge.studio import Studio

    household = Household(config, recordings)
    studio = Studio(household)
    household.watcher = Everybody(studio, Printer(output))
    station = app.open_link(uri, serve=config.serve, desk=studio)
    assert isinstance(station, Station)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(studio.close)
        await stack.enter_async_context(household)
        stack.push_async_callback(station.close)
        await station.open()
        url = f"{station.invite('owner', OWNER)}&to=simulate"
        print(f"nearsight: the simulator is at\n\n  {url}\n\nThis lets one browser in, once.", file=sys.stderr, flush=True)
        _warn_of(station.fingerprint)
        if browser:
            await asyncio.to_thread(webbrowser.open, url)
        await household.attend(station)
