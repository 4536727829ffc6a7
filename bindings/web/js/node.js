// The package in Node: detection in the calling thread.

import { readFile } from "node:fs/promises";

import { detectorClass } from "./detector.js";

export { ClosedError, ImageError, InternalError, ModelError, OptionError, PicodetError } from "./errors.js";

export const Detector = detectorClass({
  defaultWasm: () => readFile(new URL("./picodet.wasm", import.meta.url)),
  startWorker: null,
  startThread: null,
});
