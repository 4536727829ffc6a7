// The public class.

import { toDetections } from "./engine.js";
import { ClosedError, errorOf } from "./errors.js";
import { LocalRunner } from "./local.js";
import { readModel } from "./model.js";
import { RemoteRunner } from "./remote.js";
import { prepare } from "./sources.js";
import { streamOf } from "./stream.js";

const OPTIONS = ["score", "iou", "maxDetections", "inputSize"];
const KNOWN = [...OPTIONS, "model", "wasm", "worker", "workerUrl", "threads", "threadUrl", "onProgress", "signal"];

/** Checks what JavaScript converts silently; the module checks the ranges. */
function moduleOptions(options) {
  for (const name of Object.keys(options)) {
    if (!KNOWN.includes(name)) throw errorOf("option", `unknown option \`${name}\`; expected one of: ${KNOWN.join(", ")}`);
  }
  const chosen = {};
  for (const name of OPTIONS) {
    const value = options[name];
    if (value === undefined) continue;
    const fits = name === "inputSize" ? Array.isArray(value) && value.length === 2 && value.every(isSide)
      : name === "maxDetections" ? isSize(value) : inUnit(value);
    if (!fits) throw errorOf("option", `\`${name}\` is ${format(value)}; expected ${expected(name)}`);
    chosen[name] = value;
  }
  return chosen;
}

/** Sides above this are no network inputs; the command has the same limit. */
const MOST_SIDE = 4096;
const isSide = (value) => isSize(value) && value <= MOST_SIDE && value % 32 === 0;
const isSize = (value) => Number.isInteger(value) && value > 0 && value < 2 ** 31;
const inUnit = (value) => typeof value === "number" && value >= 0 && value <= 1;
const format = (value) => (typeof value === "string" ? JSON.stringify(value) : String(value));

function expected(name) {
  if (name === "inputSize") return `[height, width], multiples of 32 up to ${MOST_SIDE}`;
  return name === "maxDetections" ? "a whole number above 0" : "a number from 0 to 1";
}

/** Whether the reason for one thread has been said. */
let isWarned = false;
/** Most threads that are used by default. */
const MOST_THREADS = 4;

/** Returns the number of threads of a detection: several need a worker, and a page that may share memory. */
function threadsOf({ threads, wasm }, inWorker) {
  if (threads !== undefined && !(isSize(threads) && threads <= 64)) {
    throw errorOf("option", `\`threads\` is ${format(threads)}; expected a whole number from 1 to 64`);
  }
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
      if (options === null || typeof options !== "object") throw errorOf("option", "expected an object with `model`");
      const chosen = { score: 0.25, ...moduleOptions(options) };
      const { signal } = options;
      signal?.throwIfAborted();
      const inWorker = options.worker ?? startWorker !== null;
      if (inWorker && startWorker === null) throw errorOf("option", "`worker` is for browsers; start a thread instead");
      chosen.threads = threadsOf(options, inWorker);
      const model = await readModel(options.model, options);
      signal?.throwIfAborted();
      const request = { wasm: options.wasm ?? (await defaultWasm(chosen.threads)), model, options: chosen };
      if (request.wasm instanceof URL) request.wasm = request.wasm.href;
      const creation = inWorker
        ? RemoteRunner.create(startWorker(options.workerUrl), request, [model.buffer], () => startThread(options.threadUrl), signal)
        : LocalRunner.create(request);
      const runner = await abortable(creation, signal);
      if (signal?.aborted) runner.free();
      signal?.throwIfAborted();
      return new Detector(runner, chosen.score);
    }

    async detect(source, options) {
      const { score, signal } = options ?? {};
      signal?.throwIfAborted();
      if (score !== undefined && !(inUnit(score) && score >= this.#score)) {
        const range = `a number from ${this.#score}, the detector's own, to 1`;
        throw errorOf("option", `\`score\` is ${format(score)}; expected ${range}`);
      }
      this.#check();
      const prepared = await prepare(source);
      const result = this.#last.then(() => {
        if (signal?.aborted) {
          prepared.picture?.close();
          signal.throwIfAborted();
        }
        this.#check();
        return this.#runner.detect(prepared);
      });
      this.#last = result.catch(() => {});
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

/** Returns the result, or the reason of the signal as soon as it is aborted. */
function abortable(result, signal) {
  if (!signal) return result;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
