// Turns what a page has into what a runner takes.

import { errorOf } from "./errors.js";
import { format } from "./options.js";

const EXPECTED =
  "expected a Blob, ArrayBuffer, ImageData, image, canvas, ImageBitmap, VideoFrame or video element";

function is(value, name) {
  return typeof globalThis[name] === "function" && value instanceof globalThis[name];
}

function detached(buffer) {
  return buffer.detached ?? (buffer.byteLength === 0 && isDetached(buffer));
}

function isDetached(buffer) {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/**
 * Copies what the caller keeps, so that it may change or transfer it afterwards. Pixels are copied to `spare.bytes`, if these
 * are there and as many: new memory for each frame takes longer than the copy.
 */
export async function prepare(source, spare = {}) {
  if (is(source, "Blob")) return { kind: "blob", blob: source };
  if (is(source, "ImageData")) return pixels(source, spare);
  if (source instanceof ArrayBuffer || is(source, "SharedArrayBuffer")) return file(new Uint8Array(checked(source)));
  if (ArrayBuffer.isView(source)) {
    checked(source.buffer);
    return file(new Uint8Array(source.buffer, source.byteOffset, source.byteLength));
  }
  if (is(source, "VideoFrame")) {
    if (source.format === null && source.codedWidth === 0) throw errorOf("image", "the VideoFrame has been closed");
    return picture(source.clone());
  }
  if (is(source, "HTMLImageElement")) {
    // A loaded image is copied at once: the page may give the element another one after this call.
    if (!source.complete || source.naturalWidth === 0) await decoded(source);
    return picture(await bitmapOf(source, source.naturalWidth, source.naturalHeight));
  }
  if (is(source, "HTMLVideoElement")) {
    if (source.readyState < 2) throw errorOf("image", "the video has no frame yet; wait for its `loadeddata` event");
    return picture(await bitmapOf(source, source.videoWidth, source.videoHeight));
  }
  if (is(source, "HTMLCanvasElement") || is(source, "OffscreenCanvas") || is(source, "ImageBitmap")) {
    return picture(await bitmapOf(source, source.width, source.height));
  }
  // Node has no ImageData; an object of the same shape stands for it.
  if (source && source.data && "width" in source && "height" in source) return pixels(source, spare);
  throw errorOf("image", `${format(source)} is not an image; ${EXPECTED}`);
}

function checked(buffer) {
  if (detached(buffer)) throw errorOf("image", "the buffer is detached: it was transferred; pass a copy (`slice()`)");
  return buffer;
}

function file(bytes) {
  const copy = bytes.slice();
  return { kind: "bytes", bytes: copy, transfer: [copy.buffer] };
}

function pixels({ data, width, height }, spare) {
  if (!(data instanceof Uint8ClampedArray || data instanceof Uint8Array)) {
    throw errorOf("image", "the pixels must be a Uint8ClampedArray of red, green, blue, alpha");
  }
  // The module takes 32 bits of each.
  if (![width, height].every((side) => Number.isInteger(side) && side >= 0 && side < 2 ** 31)) {
    throw errorOf("image", `pixels of ${format(width)} x ${format(height)}; expected whole numbers`);
  }
  checked(data.buffer);
  const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const isReused = view.length > 0 && spare.bytes?.length === view.length;
  const bytes = isReused ? spare.bytes : new Uint8Array(view.length);
  spare.bytes = null;
  bytes.set(view);
  return { kind: "pixels", bytes, width, height, transfer: [bytes.buffer] };
}

function picture(value) {
  return { kind: "picture", picture: value, transfer: [value] };
}

async function decoded(image) {
  try {
    await image.decode();
  } catch (cause) {
    throw errorOf("image", `${image.currentSrc || image.src || "the image"}: cannot be loaded`, { cause });
  }
}

async function bitmapOf(source, width, height) {
  if (width === 0 || height === 0) {
    throw errorOf("image", `the image is empty (${width} x ${height} pixels); wait until it has loaded`);
  }
  try {
    return await createImageBitmap(source);
  } catch (cause) {
    throw errorOf("image", `the pixels cannot be read (${cause.message}); images of other sites need CORS`, { cause });
  }
}
