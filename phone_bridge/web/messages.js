// @ts-check
/** Every sentence that the pages show or speak, in one place, so that another language is another file. */

/** What the large button shows in each state: its word, and what it does. @type {Record<string, {word: string, hint: string}>} */
export const FACES = {
  off: { word: "Start", hint: "Tap to switch on microphone and camera" },
  starting: { word: "Starting", hint: "Your browser may ask for microphone and camera" },
  connecting: { word: "Connecting", hint: "One moment" },
  lost: { word: "Not connected", hint: "Trying again by itself" },
  idle: { word: "Ready", hint: "Tap, or hold while you talk" },
  holding: { word: "Listening", hint: "Let go when you have finished" },
  listening: { word: "Listening", hint: "Speak now" },
  thinking: { word: "Thinking", hint: "Tap to stop" },
  speaking: { word: "Speaking", hint: "Tap to stop" },
  paused: { word: "Paused", hint: "Waiting for what you say" },
  muted: { word: "Muted", hint: "Nothing is heard or seen. Tap to switch on" },
  replaced: { word: "Moved", hint: "Tap to use this device again" },
  ended: { word: "Ended", hint: "Tap to start again" },
  failed: { word: "No entry", hint: "Tap to try again" },
};

/** Troubles and their ends, shown in the banner and spoken. @type {Record<string, string>} */
export const SAID = {
  insecure: "The browser gives microphone and camera only to a secure page. Open this page by its https address, or on localhost.",
  microphone_denied: "The microphone is not allowed. Allow it for this page in the browser's settings, then tap Start.",
  microphone_missing: "There is no microphone. Connect one, then tap Start.",
  microphone_busy: "Another program uses the microphone. Close it, then tap Start.",
  microphone_paused: "The phone has paused the microphone. I cannot hear you.",
  microphone_lost: "The microphone has gone. I cannot hear you.",
  microphone_back: "The microphone is back.",
  camera_denied: "The camera is not allowed, so I can hear but not see.",
  camera_missing: "There is no camera, so I can hear but not see.",
  camera_busy: "Another program uses the camera, so I can hear but not see.",
  camera_paused: "The phone has paused the camera. I cannot see until this page is open on the unlocked screen.",
  camera_lost: "The camera has gone, so I can hear but not see.",
  camera_back: "The camera is back.",
  glasses_lost: "The glasses are out of reach. I use this phone until they are back.",
  glasses_back: "The glasses are back.",
  lost: "Connection lost. I keep trying.",
  unreachable: "nearsight cannot be reached. Is it running, and is this device in the same network? I keep trying.",
  full: "nearsight already serves as many wearers as it can. I keep trying.",
  busy: "nearsight asks to wait a moment. I keep trying.",
  connected_again: "Connected again.",
  replaced: "Another device has taken over.",
  key: "This device is not paired with nearsight, or its key was revoked. Pair it again.",
  forbidden: "nearsight does not accept this page's address. Open the address that it printed when it started.",
  refused: "nearsight did not accept the connection.",
  ended_by_server: "nearsight has ended the session.",
};

export const CONNECTION = {
  off: "Not connected",
  connecting: "Connecting",
  connected: "Connected",
  lost: "Connection lost",
  replaced: "Used elsewhere",
  ended: "Ended",
  failed: "No entry",
};

export const LABELS = {
  leavePocket: "Double-tap to leave pocket mode",
  cameraRear: "Rear camera",
  cameraFront: "Front camera",
  cameraNone: "No camera",
  /** @param {number} n */ camera: (n) => `Camera ${n}`,
  said: "You said:",
  answered: "nearsight:",
  notHeard: "(not heard)",
  echoOn: "On: the browser takes my voice out of the microphone's sound.",
  echoOff: "Off: nearsight does it itself.",
  echoUnlike: "The browser did not follow the switch.",
  echoUnknown: "Shown once the microphone is on.",
  /** @param {number} level 0 to 1 */ percent: (level) => `${Math.round(level * 100)} %`,
  charging: "battery, charging",
  onBattery: "battery",
  /** @param {number} ms */ delay: (ms) => `${Math.round(ms)} ms there and back`,
};

/** Of Bluetooth glasses, in the sheet of settings. */
export const GLASSES = {
  choose: "Connect glasses",
  leave: "Let the glasses go",
  start: "Tap Start first.",
  unsupported: () => "This browser gives pages no Bluetooth. Chrome and Edge do, on Android and on computers; Safari and Firefox do not, and on an iPhone no browser does.",
  off: () => "Their microphone and camera are used instead of this phone's.",
  choosing: () => "Choose them in the browser's list.",
  connecting: () => "Connecting to the glasses.",
  /** @param {string} model */ in_use: (model) => `In use: ${model}.`,
  lost: () => "The glasses are out of reach. I use this phone and keep trying.",
  /** @param {string} _ @param {string} text */ refused: (_, text) => `The glasses cannot be used: ${text}`,
};

/** Of a translated conversation. */
export const TRANSLATION = {
  start: "Tap Start first.",
  speakers: { wearer: "You", partner: "They" },
  finding: "finding out",
  /** @param {string} language */ into: (language) => `into ${language}`,
  /** @param {string} seconds */ behind: (seconds) => `${seconds} s behind`,
  /** @param {string} rate */ catchingUp: (rate) => `catching up, ${rate}×`,
  shortened: "shortened",
  passedOver: {
    same_language: "needs no translation.",
    unknown_language: "is in a language that I do not know.",
    failed: "could not be translated.",
  },
  code: "Code that opens the partner's page",
  once: "Lets one phone or tablet in, once, for twelve hours.",
  /** @param {number} n */ partners: (n) => (n ? `${n} partner's page${n > 1 ? "s" : ""} open.` : ""),
};

/** Of the translated text in a picture. */
export const SIGN = {
  translation: "Translation of the text in the picture. Press to see the original.",
  original: "The picture as it is. Press to see the translation.",
  large: "Larger",
  small: "Smaller",
  /** @param {string} language */ caption: (language) => `In ${language}. Tap the picture for the original.`,
};

const PORTS = {
  wake: "the microphone, for the wake word",
  recogniser: "what you say",
  language_model: "questions and their answers",
  vision_language: "pictures",
  voice: "what is read to you",
  translator: "what is translated",
};

/**
 * Which servers get what.
 * @param {Record<string, string>} ports
 */
export function remotely(ports) {
  const sent = Object.entries(ports).map(([port, server]) => `${PORTS[/** @type {keyof typeof PORTS} */ (port)] ?? port} to ${server}`);
  return sent.length ? `Sends ${sent.join(", ")}` : "Nothing is sent to a server";
}

/**
 * What became of a followed object.
 * @param {{object: number, label: string, change: string, sure: boolean}} event
 */
export function tracked({ object, label, change, sure }) {
  const thing = label || `object ${object}`;
  switch (change) {
    case "started": return `following ${thing}`;
    case "lost": return `${thing} is out of sight`;
    case "found": return sure ? `${thing} is back` : `something is back that may be ${thing}`;
    default: return `${thing} is no longer followed`;
  }
}

/** Why pairing failed, by the server's code or the status. @type {Record<string, string>} */
export const PAIRING = {
  none: "This page needs the code that nearsight prints when it starts. Scan it with this device's camera, or open the printed address.",
  token_unknown: "nearsight does not know this code. Check that you opened the whole address.",
  token_used: "This code was used already. Each code pairs one device: ask for a new one.",
  token_expired: "This code is too old: it holds for ten minutes. Ask for a new one.",
  too_many_devices: "As many devices are paired as nearsight keeps. Revoke one of them first.",
  busy: "Too many tries from this network. Wait a minute, then try again.",
  name: "Give this device a name of at most 40 letters.",
  unreachable: "nearsight cannot be reached. Is it running, and is this device in the same network?",
  failed: "Pairing did not work. Ask for a new code and try again.",
  done: "Paired. Opening nearsight.",
  device: "This device",
};
