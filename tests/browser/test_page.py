"""The phone page in a real browser: it loads, it is usable by everybody, and what the wearer does arrives."""

from __future__ import annotations

import asyncio

import pytest

from edge.events import BargedIn, FinalHeard, PartialHeard, RemoteChanged, Speaking, StateChanged, TurnEnded
from phone_bridge.access import TOKEN_LIFE_S
from phone_bridge.webrtc import WebRtcGlasses
from tests.browser.chromium import PICTURE
from tests.browser.conftest import Household, Visit, Visitor, Wearer, until

pytestmark = pytest.mark.real_time

# What reaches the loudspeaker is measured beside it: the page's graph stays as it is.
METER = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const meter = new AnalyserNode(this.context, { fftSize: 512 });
    connect.call(this, meter);
    const samples = new Float32Array(meter.fftSize);
    globalThis.loudness = () => {
      meter.getFloatTimeDomainData(samples);
      return Math.max(...samples.map(Math.abs));
    };
  }
  return connect.call(this, target, ...rest);
};
"""


LOUDEST = """async () => {
  const until = performance.now() + 300;
  let loudest = 0;
  while (performance.now() < until) {
    loudest = Math.max(loudest, loudness());
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  return loudest;
}"""


async def start(household: Household, seen: Visit) -> Wearer:
    """Taps Start and waits for the session's side of the link."""
    before = len(household.wearers)
    await seen.page.click("#talk")
    await until(lambda: len(household.wearers) > before, "a wearer")
    await face(seen, "idle")
    return household.wearers[-1]


async def face(seen: Visit, name: str) -> None:
    """Waits for a state of the page."""
    await seen.page.wait_for_selector(f"body[data-face={name}]")


async def banner(seen: Visit, key: str) -> str:
    """Waits for a trouble to be shown; gives its text."""
    await seen.page.wait_for_selector(f"#banner[data-key={key}]:not([hidden])")
    return await seen.page.inner_text("#banner .text")


async def shows(seen: Visit, expression: str, seconds: float = 10.0) -> None:
    """Waits until an expression holds in the page, whose policy forbids Playwright's own way of waiting for one."""
    async with asyncio.timeout(seconds):
        while not await seen.page.evaluate(expression):  # noqa: ASYNC110 - the page has no event for it
            await asyncio.sleep(0.01)


async def test_touches_sound_pictures_and_stills_arrive(household: Household, visit: Visitor) -> None:
    seen = await visit(init=METER)
    wearer = await start(household, seen)
    await seen.page.click("#talk")
    await until(lambda: wearer.taps == ["tap"], "the tap")
    await seen.page.locator("#talk").hover()
    await seen.page.mouse.down()
    await until(lambda: wearer.taps == ["tap", "hold"], "the hold")
    assert await seen.page.get_attribute("body", "data-face") == "holding"
    await seen.page.mouse.up()
    await until(lambda: wearer.taps == ["tap", "hold", "release"], "the release")
    await until(lambda: wearer.loudest > 500, "the microphone's tone")
    await until(lambda: wearer.frames, "a picture")

    wearer.link.snap()
    await until(lambda: any(frame.pixels.shape == (PICTURE[1], PICTURE[0], 3) for frame in wearer.frames), "the still")
    assert isinstance(wearer.link, WebRtcGlasses)
    await until(lambda: wearer.conditions[-1].sink_delay_s > 0, "a report of when the sound is heard")
    assert seen.faults == []
    assert {url.split("/", 3)[2] for url in seen.requests} == {household.origin.split("/")[2]}


async def test_a_flush_is_silence_and_what_comes_after_it_is_heard(household: Household, visit: Visitor) -> None:
    seen = await visit(init=METER)
    wearer = await start(household, seen)
    playing = asyncio.create_task(wearer.play(1.5))
    await shows(seen, "loudness() > 0.05")
    playing.cancel()
    wearer.link.flush()
    await shows(seen, "loudness() < 0.001", 1.0)
    assert await seen.page.evaluate(LOUDEST) < 0.01, "what the browser had buffered, 0.24 loud, is not heard afterwards"
    await asyncio.wait([playing])
    again = asyncio.create_task(wearer.play(1.0))
    await shows(seen, "loudness() > 0.05", 3.0)
    await again


async def test_captions_say_what_was_heard_and_what_was_not(household: Household, visit: Visitor) -> None:
    seen = await visit()
    tell = (await start(household, seen)).link.tell
    tell(StateChanged(t_ns=0, state="listening"))
    tell(PartialHeard(t_ns=0, text="what does"))
    await seen.page.wait_for_selector("li[data-partial] .said:has-text('what does')")
    tell(FinalHeard(t_ns=0, text="what does the sign say", confidence=1.0, source="fake"))
    tell(StateChanged(t_ns=0, state="speaking"))
    tell(Speaking(t_ns=0, turn=1, text="It says: mind the gap."))
    await seen.page.wait_for_selector(".reply:has-text('It says: mind the gap.')")
    assert await seen.page.inner_text("#answer") == "", "a screen reader is told when the answer is over, and not before"
    tell(BargedIn(t_ns=0, turn=1, played_ms=900, heard="It says: mind"))
    answer, heard = "It says: mind the gap.", "It says: mind"
    tell(TurnEnded(t_ns=0, turn=1, transcript="what does it say", skill="", answer=answer, heard=heard, interrupted=True))
    await shows(seen, "document.getElementById('answer').textContent === 'nearsight: It says: mind'")
    assert (await seen.page.inner_text(".unheard")).split("(")[0].strip() == "the gap."
    tell(PartialHeard(t_ns=0, text="and <b>then</b>"))
    await seen.page.wait_for_selector("li:last-child .said:has-text('and <b>then</b>')")
    assert await seen.page.locator("#exchanges > li").count() == 2, "the answer before stays"


async def test_what_goes_to_a_server_shows_and_still_shows_on_a_page_that_comes_back(
    household: Household, visit: Visitor
) -> None:
    seen = await visit()
    wearer = await start(household, seen)
    assert not await seen.page.locator("#remote").is_visible()
    ports = {"recogniser": "attic.lan:10300", "vision_language": "attic.lan:8080"}
    wearer.link.tell(RemoteChanged(t_ns=0, ports=ports, leaves=True))
    await shows(seen, "document.querySelector('#remote .word').textContent === 'attic.lan:10300, attic.lan:8080'")
    told = "Sends what you say to attic.lan:10300, pictures to attic.lan:8080"
    place = seen.page.locator("#remote")
    assert await place.locator(".unseen").inner_text() == await place.get_attribute("title") == told
    await seen.page.reload()
    await seen.page.click("#talk")
    await shows(seen, "document.querySelector('#remote').checkVisibility()")
    wearer.link.tell(RemoteChanged(t_ns=0, ports={}, leaves=False))
    await shows(seen, "!document.querySelector('#remote').checkVisibility()")


async def test_everything_can_be_done_by_keyboard(household: Household, visit: Visitor) -> None:
    seen = await visit(viewport={"width": 320, "height": 568})
    page = seen.page
    before = len(household.wearers)
    await page.keyboard.press("Enter")
    await until(lambda: len(household.wearers) > before, "a wearer")
    await face(seen, "idle")
    wearer = household.wearers[-1]

    await page.keyboard.down("Space")
    await page.wait_for_timeout(450)
    for _ in range(3):
        await page.keyboard.down("Space")  # a key that is held repeats
    await page.keyboard.up("Space")
    await until(lambda: wearer.taps == ["hold", "release"], "hold and release")
    wearer.link.tell(StateChanged(t_ns=0, state="speaking"))
    await face(seen, "speaking")
    await page.keyboard.press("Escape")
    await until(lambda: wearer.taps[2:] == ["tap"], "the tap that stops")

    reached = []
    for _ in range(7):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.id"))
    assert reached == ["captions", "talk", "mute", "pocket", "translate", "settings", "end"]
    await page.focus("#mute")
    await page.keyboard.press("Space")
    await face(seen, "muted")
    assert wearer.taps[3:] == [], "space on a button is that button's"
    await page.focus("#settings")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#sheet[open]")
    await page.keyboard.press("Escape")
    assert await page.evaluate("document.activeElement.id") == "settings"


async def test_it_fits_small_screens_and_large_letters(household: Household, visit: Visitor) -> None:
    seen = await visit(viewport={"width": 320, "height": 568})
    await start(household, seen)
    # 320 px; 1280x800 at 200 %; a phone on its side; letters of twice the size.
    for width, height, letters in ((320, 568, 100), (640, 400, 100), (568, 320, 100), (390, 844, 200), (320, 568, 200)):
        await seen.page.set_viewport_size({"width": width, "height": height})
        await seen.page.evaluate("size => { document.documentElement.style.fontSize = `${size}%`; }", letters)
        wide = await seen.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{width}x{height} at {letters} %: {wide} px wide"
        for box in [await item.bounding_box() for item in await seen.page.locator("button:visible").all()]:
            assert box is not None and box["width"] >= 44 and box["height"] >= 44
            assert box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize(
    ("permissions", "key", "connects"), [(("microphone",), "camera_denied", True), ((), "microphone_denied", False)]
)
async def test_a_refused_device_is_said_and_the_other_one_works(
    household: Household, visit: Visitor, permissions: tuple[str, ...], key: str, connects: bool
) -> None:
    seen = await visit(permissions=permissions, init=METER)
    await seen.page.click("#talk")
    await shows(seen, "globalThis.loudness?.() > 0.05")  # this browser has no voices: the page sounds a tone
    assert "not allowed" in await banner(seen, key)
    await face(seen, "idle" if connects else "off")
    assert len(household.wearers) == connects


async def test_a_camera_that_the_system_takes_away_is_told_of_and_opened_again(visit: Visitor) -> None:
    seen = await visit()
    told = await seen.page.evaluate("""async () => {
        const { Media } = await import("/web/media.js");
        const media = new Media();
        const told = [];
        media.addEventListener("trouble", (event) => told.push(event.detail.code));
        await media.openCamera();
        Object.defineProperty(media.camera, "muted", { value: true });  // as iOS does when the phone is locked
        media.camera.dispatchEvent(new Event("mute"));
        await new Promise((resolve) => setTimeout(resolve, 800));
        media.camera.dispatchEvent(new Event("unmute"));
        media.camera.stop();
        const back = new Promise((resolve) => media.addEventListener("track", resolve, { once: true }));
        media.camera.dispatchEvent(new Event("ended"));
        await back;
        told.push(media.camera.readyState);
        media.close();
        return told;
    }""")
    assert told == ["paused", "back", "lost", "back", "live"]


async def test_a_lost_connection_comes_back_by_itself(household: Household, visit: Visitor) -> None:
    seen = await visit()
    wearer = await start(household, seen)
    assert isinstance(wearer.link, WebRtcGlasses) and wearer.link.peer is not None
    wearer.link.tell(FinalHeard(t_ns=0, text="hello", confidence=1.0, source="fake"))
    wearer.link.peer.close_soon("test")
    assert await banner(seen, "lost") == "Connection lost. I keep trying."
    assert await banner(seen, "connected_again") == "Connected again."
    await face(seen, "idle")
    assert len(household.wearers) == 1 and wearer.link.connected, "the same session goes on"
    assert await seen.page.inner_text("#exchanges .said .words") == "hello"

    for device in household.station.access.devices():
        household.station.access.revoke(device.id)
    wearer.link.peer.close_soon("revoked")
    assert "Pair it again" in await banner(seen, "key")
    assert await seen.page.is_visible("#pair-again")


async def test_a_server_that_is_restarted_during_a_reply_is_found_again(household: Household, visit: Visitor) -> None:
    seen = await visit(init=METER)
    before = await start(household, seen)
    playing = asyncio.create_task(before.play(10.0))
    await shows(seen, "loudness() > 0.05")
    await household.restart()
    playing.cancel()
    await asyncio.wait([playing])
    assert await banner(seen, "connected_again") == "Connected again."
    await until(lambda: len(household.wearers) == 2, "a session of the new server")
    after = household.wearers[1]
    await until(lambda: after.loudest > 500 and after.frames, "sound and pictures")
    playing = asyncio.create_task(after.play(1.0))
    await shows(seen, "loudness() > 0.05")
    await playing


async def test_a_key_of_another_server_or_of_nobody_opens_nothing(household: Household, visit: Visitor) -> None:
    for key in ("x" * 43, household.key()):
        for device in household.station.access.devices():
            household.station.access.revoke(device.id)
        seen = await visit("/", key=key)
        assert await seen.page.locator("#talk").count() == 0, "no page without a good key"
        assert "pair" in (await seen.page.inner_text("body")).lower()
    assert household.wearers == []


async def test_a_second_device_takes_over_and_the_first_can_take_it_back(household: Household, visit: Visitor) -> None:
    first, second = await visit(), await visit()
    wearer = await start(household, first)
    await second.page.click("#talk")
    await face(second, "idle")
    await face(first, "replaced")
    await asyncio.sleep(1.0)
    await face(first, "replaced")  # it does not fight
    await first.page.click("#talk")
    await face(second, "replaced")
    await face(first, "idle")
    assert household.wearers == [wearer]


async def test_one_wearer_too_many_is_told_so_and_gets_in_later(household: Household, visit: Visitor) -> None:
    pages = [await visit(key=household.key(wearer=name)) for name in ("ann", "ben", "cat")]
    for seen in pages[:2]:
        await start(household, seen)
    await pages[2].page.click("#talk")
    assert "as many wearers as it can" in await banner(pages[2], "full")
    await pages[0].page.click("#end")
    await asyncio.sleep(0.5)
    await pages[2].page.evaluate("dispatchEvent(new Event('online'))")  # a network that returns is tried at once
    await face(pages[2], "idle")


async def test_muting_takes_sound_and_picture_at_the_source(household: Household, visit: Visitor) -> None:
    seen = await visit()
    wearer = await start(household, seen)
    await until(lambda: wearer.loudest > 500 and wearer.frames, "sound and pictures")
    await seen.page.click("#mute")
    await face(seen, "muted")
    await asyncio.sleep(0.5)  # what was on its way
    wearer.loudest, wearer.frames, heard = 0, [], wearer.samples
    await until(lambda: wearer.samples > heard + 8000, "half a second of sound")
    assert wearer.loudest < 50 and wearer.frames == []
    await seen.page.click("#talk")
    await face(seen, "idle")
    await until(lambda: wearer.loudest > 500 and wearer.frames, "sound and pictures again")
    assert wearer.taps == [], "the tap that unmutes is no question"

    wearer.link.privacy(True)
    await face(seen, "muted")
    await seen.page.click("#talk")
    await until(lambda: wearer.taps == ["tap"], "the tap that wakes the session")
    wearer.link.privacy(False)
    await face(seen, "idle")


async def test_in_the_pocket_the_whole_screen_is_one_button(household: Household, visit: Visitor) -> None:
    seen = await visit(viewport={"width": 390, "height": 844})
    wearer = await start(household, seen)
    await seen.page.click("#pocket")
    await seen.page.mouse.click(5, 840)
    await until(lambda: wearer.taps == ["tap"], "a tap in the corner")
    await seen.page.mouse.dblclick(380, 10)
    await seen.page.wait_for_selector("body:not(.pocket)")
    await asyncio.sleep(0.4)
    assert wearer.taps == ["tap"], "a double tap only leaves"


async def test_pairing(household: Household, visit: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    url = household.station.invite("wearer", "ann")
    seen = await visit(url, key="")
    assert seen.page.url == f"{household.origin}/pair", "the token has left the address bar"
    assert await seen.page.input_value("#name")
    await seen.page.click("#pair")
    await seen.page.wait_for_url(f"{household.origin}/")
    await start(household, seen)

    for address, words in ((url, "used already"), (f"{household.origin}/pair#nonsense", "does not know this code")):
        other = await visit(address, key="")
        await other.page.click("#pair")
        await other.page.wait_for_selector(f"#trouble:has-text('{words}')")
    access = household.station.access
    stale, token_clock = household.station.invite("wearer", "ann"), access._clock
    monkeypatch.setattr(access, "_clock", lambda: token_clock() + TOKEN_LIFE_S)
    late = await visit(stale, key="")
    await late.page.click("#pair")
    await late.page.wait_for_selector("#trouble:has-text('too old')")
    blank = await visit("/pair", key="")
    await blank.page.wait_for_selector("#trouble:has-text('needs the code')")
