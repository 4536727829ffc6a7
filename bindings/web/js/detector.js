// The public class.

import { toDetections } from "./engine.js";
import { ClosedError, errorOf } from "./errors.js";
import { LocalRunner } from "./local.js";
import { readModel } from "./model.js";
import { createOptions, detectOptions } from "./options.js";
import { RemoteRunner } from "./remote.js";
import { prepare } from "./sources.js";
import { streamOf } from "./stream.js";

/** Whether the reason for one thread has been said. */
let isWarned = false;
/** Most threads that are used by default. */
const MOST_THREADS = 4;

/** Returns the number of threads of a detection: several need a worker, and a page that may share memory. */
function threadsOf({ threads, wasm }, inWorker) {
  if (threads > 1 && !inWorker) throw errorOf("option", "`threads` above 1 are for a `worker` in a browser");
  if (globalThis.crossOriginIsolated !== true) {
    if (threads > 1 && !isWarned) {
      isWarned = true;
      const headers = "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";
      console.info(`picodet: one thread, since this page may not share memory; serve it with ${headers}`);
    }
    return 1;
  }
  // A module that the caller chose may be the one without threads.
  if (!inWorker || (threads === undefined && wasm !== undefined)) return 1;
  return threads ?? Math.min(Math.ceil((globalThis.navigator?.hardwareConcurrency ?? 1) / 2), MOST_THREADS);
}

/** Returns the detector class of a platform: where its module is, and how to start workers if it has any. */
export function detectorClass({ defaultWasm, startWorker, startThread }) {
  return class Detector {
    #runner;
    #closed = false;
    #score;
    /** The end of the last request: requests run one after the other. */
    #last = Promise.resolve();
    /** The copy of the last request's pixels; without elements where the worker has got it. */
    #spare = { bytes: null };

    constructor(runner, score) {
      this.#runner = runner;
      this.#score = score;
      const { classes, categoryIds, inputSize, version } = runner.description;
      this.classes = Object.freeze(classes);
      this.categoryIds = Object.freeze(categoryIds);
      this.inputSize = Object.freeze(inputSize);
      this.version = version;
      this.threads = runner.threads ?? 1;
    }

    static async create(options) {
      const { all, module: chosen } = createOptions(options);
      const { signal } = all;
      signal?.throwIfAborted();
      const inWorker = all.worker ?? startWorker !== null;
      if (inWorker && startWorker === null) throw errorOf("option", "`worker` is for browsers; start a thread instead");
      chosen.threads = threadsOf(all, inWorker);
      const model = await readModel(all.model, all);
      signal?.throwIfAborted();
      const request = { wasm: all.wasm ?? (await defaultWasm(chosen.threads)), model, options: chosen };
      // As the model, relative to the page: a worker would take it as relative to its script.
      if (typeof request.wasm === "string" && globalThis.location) {
        request.wasm = new URL(request.wasm, globalThis.document?.baseURI ?? globalThis.location.href);
      }
      if (request.wasm instanceof URL) request.wasm = request.wasm.href;
      const creation = inWorker
        ? RemoteRunner.create(
            started(startWorker, "workerUrl", all),
            request,
            [model.buffer],
            () => started(startThread, "threadUrl", all),
            signal,
          )
        : LocalRunner.create(request);
      const runner = await abortable(creation, signal);
      if (signal?.aborted) runner.free();
      signal?.throwIfAborted();
      return new Detector(runner, chosen.score);
    }

    async detect(source, options) {
      const { score, signal } = detectOptions(options, this.#score);
      signal?.throwIfAborted();
      this.#check();
      const prepared = await prepare(source, this.#spare);
      const result = this.#last.then(() => {
        if (signal?.aborted) {
          prepared.picture?.close();
          signal.throwIfAborted();
        }
        this.#check();
        return this.#runner.detect(prepared);
      });
      const end = () => {
        if (prepared.kind === "pixels" && !this.#closed) this.#spare.bytes = prepared.bytes;
      };
      this.#last = result.then(end, end);
      const values = await abortable(result, signal);
      return toDetections(values, this.classes, score);
    }

    stream(video, options) {
      return streamOf(this, () => this.#check(), video, options);
    }

    get memoryBytes() {
      return this.#runner.memoryBytes ?? 0;
    }

    free() {
      if (this.#closed) return;
      this.#closed = true;
      this.#spare.bytes = null;
      this.#runner.free();
    }

    [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
      this.free();
    }

    #check() {
      if (this.#closed) throw new ClosedError("closed", "the detector has been freed; create another one");
    }
  };
}

/** Starts a worker; a browser refuses some addresses at once. */
function started(start, option, { [option]: url }) {
  try {
    return start(url);
  } catch (cause) {
    const remedy = "it must be of the origin of the page";
    throw errorOf("option", `\`${option}\`: the worker cannot be started (${cause.message}); ${remedy}`, { cause });
  }
}

/** Returns the result, or the reason of the signal as soon as it is aborted. */
function abortable(result, signal) {
  if (!signal) return result;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
