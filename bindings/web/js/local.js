// Runs a detector in the calling thread; the worker runs the same code.

import { Engine, compile } from "./engine.js";
import { errorOf } from "./errors.js";

/** A canvas for reading the pixels of what the browser has decoded. */
let canvas = null;

function pixelsOf(picture, width, height) {
  canvas ??= new OffscreenCanvas(1, 1);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** A detector that blocks its thread while it runs. */
export class LocalRunner {
  #engine;

  constructor(engine) {
    this.#engine = engine;
    this.description = engine.description;
  }

  static async create({ wasm, model, options }) {
    return new LocalRunner(await Engine.create(await compile(wasm), model, options));
  }

  /** Detects in a prepared source (sources.js) and returns the values of the module. */
  async detect(source) {
    switch (source.kind) {
      case "bytes":
        return this.#detectFile(source.bytes);
      case "blob":
        return this.#detectFile(new Uint8Array(await readBlob(source.blob)), source.blob);
      case "pixels":
        return this.#engine.detectPixels(source.bytes, source.width, source.height);
      case "picture":
        return this.#detectPicture(source.picture);
      default:
        throw errorOf("image", `unknown kind of source \`${source.kind}\``);
    }
  }

  /** Returns what threads need to help this detector. */
  helpers(count) {
    return this.#engine.helpers(count);
  }

  get memoryBytes() {
    return this.#engine.memoryBytes;
  }

  free() {
    this.#engine.free();
  }

  async #detectFile(bytes, blob) {
    try {
      return this.#engine.detectFile(bytes);
    } catch (error) {
      // AVIF, HEIC, SVG and others: the browser may know them.
      if (error.code !== "unsupported" || typeof createImageBitmap !== "function") throw error;
      let bitmap;
      try {
        bitmap = await createImageBitmap(blob ?? new Blob([bytes]));
      } catch {
        throw error;
      }
      return this.#detectPicture(bitmap);
    }
  }

  #detectPicture(picture) {
    try {
      const width = picture.displayWidth ?? picture.width;
      const height = picture.displayHeight ?? picture.height;
      return this.#engine.detectPixels(pixelsOf(picture, width, height), width, height);
    } finally {
      picture.close?.();
    }
  }
}

async function readBlob(blob) {
  try {
    return await blob.arrayBuffer();
  } catch (cause) {
    throw errorOf("image", `the file cannot be read (${cause.message}); choose it again`, { cause });
  }
}
