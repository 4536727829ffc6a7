// The package in a browser: detection in a worker.

import { detectorClass } from "./detector.js";

export { ClosedError, ImageError, InternalError, ModelError, OptionError, PicodetError } from "./errors.js";

export const Detector = detectorClass({
  defaultWasm: async (threads) =>
    threads > 1
      ? new URL("./picodet-threads.wasm", import.meta.url)
      : new URL("./picodet.wasm", import.meta.url),
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
