"""Glasses behind the page in a real browser, whose Bluetooth is a stand-in: their sound arrives where the phone's would."""

from __future__ import annotations

import json

import pytest

from phone_bridge.ble_adapters import BATTERY, BATTERY_SERVICE
from phone_bridge.ble_omi import AUDIO, CODEC, PHOTO, PHOTO_CONTROL, SERVICE
from phone_bridge.webrtc import WebRtcGlasses
from tests.browser.conftest import Household, Visitor, until
from tests.browser.test_page import banner, shows, start

pytestmark = pytest.mark.real_time

GLASSES = (
    """
// Omi glasses behind navigator.bluetooth: one request at a time, as browsers have it.
const tables = TABLES;
class Characteristic extends EventTarget {
  constructor(uuid, value) {
    super();
    Object.assign(this, { uuid, stored: value, written: [], notifies: false });
    this.properties = { read: true, write: true, writeWithoutResponse: false, notify: true };
  }
  async alone(act) {
    if (fake.busy) throw new DOMException("GATT operation already in progress.", "NetworkError");
    if (!device.gatt.connected) throw new DOMException("GATT Server is disconnected.", "NetworkError");
    fake.busy = true;
    await new Promise((resolve) => setTimeout(resolve, 3));
    fake.busy = false;
    return act();
  }
  readValue() { return this.alone(() => new DataView(Uint8Array.from(this.stored).buffer)); }
  writeValueWithResponse(bytes) { return this.alone(() => { this.written.push([...bytes]); }); }
  writeValueWithoutResponse(bytes) { return this.writeValueWithResponse(bytes); }
  startNotifications() { return this.alone(() => { this.notifies = true; return this; }); }
  stopNotifications() { return this.alone(() => { this.notifies = false; return this; }); }
  notify(bytes) {
    if (!this.notifies || !device.gatt.connected) return;
    this.value = new DataView(Uint8Array.from(bytes).buffer);
    this.dispatchEvent(new Event("characteristicvaluechanged"));
  }
}
const fake = globalThis.fake = { busy: false, asked: null, characteristics: {}, touched: [] };
for (const [service, values] of Object.entries(tables))
  for (const [uuid, value] of Object.entries(values)) fake.characteristics[uuid] = new Characteristic(uuid, value);
const device = fake.device = Object.assign(new EventTarget(), { name: "Omi" });
const missing = () => { throw new DOMException("none", "NotFoundError"); };
device.gatt = {
  connected: false,
  async connect() {
    if (fake.away) throw new DOMException("Bluetooth Device is no longer in range.", "NetworkError");
    this.connected = true;
    return this;
  },
  disconnect() {
    if (!this.connected) return;
    this.connected = false;
    device.dispatchEvent(new Event("gattserverdisconnected"));
  },
  async getPrimaryService(service) {
    const values = tables[service] ?? missing();
    return { async getCharacteristic(uuid) {
      fake.touched.push(uuid);
      return uuid in values ? fake.characteristics[uuid] : missing();
    } };
  },
};
Object.defineProperty(navigator, "bluetooth", { configurable: true, value: {
  async requestDevice(options) { fake.asked = options; return device; },
} });
// 16-bit sound at 16 kHz, 10 ms a packet, of a loudness that is known to the last bit.
let number = 0;
fake.say = () => {
  const bytes = new Uint8Array(3 + 320);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, number++ & 0xffff, true);
  for (let n = 0; n < 160; n++) view.setInt16(3 + 2 * n, n % 32 < 16 ? LOUDNESS : -LOUDNESS, true);
  fake.characteristics["AUDIO"].notify(bytes);
};
setInterval(() => fake.say(), 10);
""".replace(
        "TABLES",
        json.dumps({SERVICE: {AUDIO: [], CODEC: [0], PHOTO: [], PHOTO_CONTROL: []}, BATTERY_SERVICE: {BATTERY: [80]}}),
    )
    .replace("AUDIO", AUDIO)
    .replace("LOUDNESS", "12345")
)
LOUDNESS = 12_345
NONE = 'Object.defineProperty(navigator, "bluetooth", { configurable: true, value: undefined });'


async def test_the_sound_of_glasses_behind_the_page_arrives_and_the_phone_takes_over(
    household: Household, visit: Visitor
) -> None:
    seen = await visit(init=GLASSES)
    page = seen.page
    await page.click("#settings")
    await page.wait_for_selector("#sheet[open]")
    assert await page.is_disabled("#glasses-choose") and "Start" in await page.inner_text("#glasses-fact")
    await page.keyboard.press("Escape")
    wearer = await start(household, seen)
    assert isinstance(wearer.link, WebRtcGlasses)
    await until(lambda: wearer.samples > 3200, "the phone's sound")

    await page.click("#settings")
    await page.wait_for_selector("#sheet[open]")
    await shows(seen, "!document.getElementById('glasses-choose').disabled")
    await page.click("#glasses-choose")
    await shows(seen, "document.getElementById('glasses-fact').textContent === 'In use: Omi.'")
    wearer.loudest, samples = 0, wearer.samples
    await until(lambda: wearer.samples > samples + 8000, "sound")
    assert wearer.loudest == LOUDNESS, "every sample is the glasses', and none the phone's"
    await until(lambda: wearer.conditions[-1].battery == 0.8 and wearer.conditions[-1].device == "Omi", "how they are")
    assert await page.evaluate(f"fake.characteristics['{PHOTO_CONTROL}'].written") == [[0]], "no photos unasked"
    asked = await page.evaluate("fake.asked")
    assert {"services": [SERVICE]} in asked["filters"] and SERVICE in asked["optionalServices"]
    assert "acceptAllDevices" not in asked

    await page.evaluate("fake.away = true; fake.device.gatt.disconnect()")
    assert "I use this phone" in await banner(seen, "glasses_lost")
    await until(lambda: wearer.conditions[-1].device != "Omi", "the phone again")
    wearer.loudest, samples = 0, wearer.samples
    await until(lambda: wearer.samples > samples + 8000, "the phone's sound")
    assert wearer.loudest not in (0, LOUDNESS)

    await page.evaluate("fake.away = false")
    assert await banner(seen, "glasses_back") == "The glasses are back."
    wearer.loudest, samples = 0, wearer.samples
    await until(lambda: wearer.samples > samples + 8000, "sound")
    assert wearer.loudest == LOUDNESS, "the glasses again, without a touch"

    assert wearer.link.peer is not None
    wearer.link.peer.close_soon("test")
    await shows(seen, f"!fake.characteristics['{AUDIO}'].notifies")  # nobody listens: no microphone is on
    assert await banner(seen, "connected_again")
    await until(lambda: wearer.conditions[-1].device == "Omi", "the glasses")
    wearer.loudest, samples = 0, wearer.samples
    await until(lambda: wearer.samples > samples + 8000, "sound")
    assert wearer.loudest == LOUDNESS, "the same glasses behind the next connection"

    await page.keyboard.press("Escape")
    for muted in (True, False):
        await page.click("#mute")
        await shows(seen, f"fake.characteristics['{AUDIO}'].notifies === {str(not muted).lower()}")
    await page.click("#settings")
    await page.wait_for_selector("#sheet[open]")
    await page.click("#glasses-choose")
    await shows(
        seen, "!fake.device.gatt.connected && document.getElementById('glasses-choose').textContent === 'Connect glasses'"
    )
    assert seen.faults == []


async def test_a_browser_without_bluetooth_says_so(visit: Visitor) -> None:
    seen = await visit(init=NONE, viewport={"width": 320, "height": 568})
    await seen.page.click("#settings")
    await seen.page.wait_for_selector("#sheet[open]")
    assert "no Bluetooth" in await seen.page.inner_text("#glasses-fact")
    assert not await seen.page.is_visible("#glasses-choose")
    assert await seen.page.evaluate("document.documentElement.scrollWidth") <= 320
