// The package in Node: detection in the calling thread.

import { readFile } from "node:fs/promises";

import { detectorClass } from "./detector.js";
import { fastest } from "./modules.js";

export { ClosedError, ImageError, InternalError, ModelError, OptionError, PicodetError } from "./errors.js";

const MODULES = {
  plain: new URL("./picodet.wasm", import.meta.url),
  relaxed: new URL("./picodet-relaxed.wasm", import.meta.url),
};

export const Detector = detectorClass({
  defaultWasm: () => readFile(fastest(MODULES, 1)),
  startWorker: null,
});
