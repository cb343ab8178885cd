// @ts-check
/** One picture at the camera's best, as JPEG, cut into chunks for the control channel. */

/** @typedef {{blob: Blob, width: number, height: number}} Still */

const PHOTO_MS = 2000;
const QUALITY = 0.9;
/** Bytes of picture in one chunk: with its header it is the 16 KiB that every browser can send (RFC 8831, 6.6). */
export const CHUNK_BYTES = 16_376;
const HEADER_BYTES = 8;

/**
 * Takes a picture: by the camera's own photo function where there is one that answers in time, else from its video.
 * @param {MediaStreamTrack} track
 * @returns {Promise<Still>}
 * @throws {DOMException} there is no picture to be had
 */
export async function takeStill(track) {
  if (track.readyState !== "live" || track.muted || !track.enabled) throw new DOMException("the camera is off", "InvalidStateError");
  const Capture = /** @type {any} */ (globalThis).ImageCapture;
  if (Capture?.prototype.takePhoto) {
    try {
      const photo = await within(PHOTO_MS, new Capture(track).takePhoto());
      return { blob: photo, ...(await sizeOf(photo)) };
    } catch {
      // Webcams without a photo function refuse, and some hang: the video has a picture too.
    }
  }
  return fromVideo(track);
}

/** @param {MediaStreamTrack} track @returns {Promise<Still>} */
async function fromVideo(track) {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream([track]);
  try {
    await within(PHOTO_MS, video.play());
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const pen = canvas.getContext("2d");
    if (!pen || !canvas.width) throw new DOMException("the camera gives no picture", "InvalidStateError");
    pen.drawImage(video, 0, 0);
    /** @type {Blob|null} */
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    if (!blob) throw new DOMException("the picture cannot be encoded", "EncodingError");
    return { blob, width: canvas.width, height: canvas.height };
  } finally {
    video.srcObject = null;
  }
}

/** @param {Blob} blob */
async function sizeOf(blob) {
  const bitmap = await createImageBitmap(blob);
  const { width, height } = bitmap;
  bitmap.close();
  return { width, height };
}

/**
 * Sends a still: its header as a message, then its chunks, each with the still's id and its own number in front.
 * @param {{send: (data: ArrayBuffer) => boolean, drained: () => Promise<void>}} wire
 * @param {number} id @param {Still} still
 * @param {(message: {type: string, [key: string]: any}) => boolean} send
 */
export async function sendStill(wire, id, still, send) {
  const bytes = new Uint8Array(await still.blob.arrayBuffer());
  const chunks = Math.ceil(bytes.length / CHUNK_BYTES);
  send({
    type: "still", id, bytes: bytes.length, mime: still.blob.type || "image/jpeg", crc32: crc32(bytes), chunks,
    width: still.width, height: still.height,
  });
  for (let index = 0; index < chunks; index++) {
    await wire.drained();
    wire.send(chunkOf(bytes, id, index));
  }
}

/** @param {Uint8Array} bytes @param {number} id @param {number} index */
function chunkOf(bytes, id, index) {
  const part = bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
  const chunk = new Uint8Array(HEADER_BYTES + part.length);
  const header = new DataView(chunk.buffer);
  header.setUint32(0, id);
  header.setUint32(4, index);
  chunk.set(part, HEADER_BYTES);
  return chunk.buffer;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

/** The CRC-32 of IEEE 802.3, as zlib computes it. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** @template T @param {number} ms @param {Promise<T>} promise @returns {Promise<T>} */
function within(ms, promise) {
  return Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new DOMException("too slow", "TimeoutError")), ms)),
  ]);
}
