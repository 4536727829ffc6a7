// The package in a browser: detection in a worker.

import { detectorClass } from "./detector.js";
import { fastest } from "./modules.js";

export { ClosedError, ImageError, InternalError, ModelError, OptionError, PicodetError } from "./errors.js";

// Whole expressions, which bundlers look for.
const MODULES = {
  plain: new URL("./picodet.wasm", import.meta.url),
  relaxed: new URL("./picodet-relaxed.wasm", import.meta.url),
  threads: new URL("./picodet-threads.wasm", import.meta.url),
  threadsRelaxed: new URL("./picodet-threads-relaxed.wasm", import.meta.url),
};

export const Detector = detectorClass({
  defaultWasm: async (threads) => fastest(MODULES, threads),
  // The whole expression is what bundlers look for.
  startWorker: (url) =>
    url
      ? new Worker(url, { type: "module" })
      : new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
  startThread: (url) =>
    url
      ? new Worker(url, { type: "module" })
      : new Worker(new URL("./thread.js", import.meta.url), { type: "module" }),
});
