// Runs a detector in a worker.

import { errorOf } from "./errors.js";

/** Time in which the scripts of workers must have started, in milliseconds. */
const START = 20_000;

const REMEDY = "serve worker.js and the other files of the package beside the script, or pass a `workerUrl`";

/** A detector in a worker of its own; the caller awaits each answer before the next request. */
export class RemoteRunner {
  #worker;
  #threads = [];
  #pending = null;
  #failure = null;
  #start;

  constructor(worker) {
    this.#worker = worker;
    this.#start = setTimeout(() => this.#stop(errorOf("internal", `the worker has not started; ${REMEDY}`)), START);
    worker.onmessage = ({ data }) => {
      if (data.isReady) {
        clearTimeout(this.#start);
        return;
      }
      const pending = this.#pending;
      this.#pending = null;
      if (!pending) return;
      if (data.error) pending.reject(errorOf(data.error.code, data.error.message));
      else pending.resolve(data.result);
    };
    worker.onerror = (event) => {
      event.preventDefault?.();
      const reason = event.message ? ` (${event.message})` : `; ${REMEDY}`;
      this.#stop(errorOf("internal", `the worker has stopped${reason}`));
    };
    worker.onmessageerror = () => this.#stop(errorOf("internal", "the worker's answer cannot be read"));
  }

  static async create(worker, request, transfer, startThread, signal) {
    const runner = new RemoteRunner(worker);
    const abort = () => runner.#stop(signal.reason);
    signal?.addEventListener("abort", abort);
    try {
      const { description, helpers } = await runner.#ask("create", request, transfer);
      runner.description = description;
      await Promise.all(helpers.map((helper) => runner.#help(startThread(), helper)));
      if (runner.#failure) throw runner.#failure;
      return runner;
    } catch (error) {
      runner.#stop(error);
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Number of threads of a detection. */
  get threads() {
    return 1 + this.#threads.length;
  }

  /** Makes a thread a helper of the worker's detector. Without it the detector is slower, not wrong. */
  #help(thread, helper) {
    return new Promise((resolve) => {
      let isReady = false;
      const timer = setTimeout(() => fail("its script does not answer"), START);
      const fail = (reason) => {
        clearTimeout(timer);
        thread.terminate();
        if (isReady) {
          // The detector may wait for it for ever.
          this.#stop(errorOf("internal", `a thread has stopped (${reason}); free this detector and create another one`));
          return;
        }
        const remedy = "serve thread.js beside the script, or pass a `threadUrl`";
        console.warn(`picodet: a thread has not started (${reason}); ${remedy}`);
        resolve();
      };
      thread.onmessage = ({ data }) => {
        if (!data.isReady) {
          fail(data.message);
          return;
        }
        isReady = true;
        clearTimeout(timer);
        this.#threads.push(thread);
        if (this.#failure) thread.terminate();
        resolve();
      };
      thread.onerror = (event) => {
        event.preventDefault?.();
        fail(event.message || "it cannot be loaded");
      };
      thread.postMessage(helper);
    });
  }

  /** Detects in a prepared source (sources.js) and returns the values of the module. */
  async detect(source) {
    const { values, memoryBytes } = await this.#ask("detect", source, source.transfer ?? []);
    this.memoryBytes = memoryBytes;
    return values;
  }

  free() {
    this.#stop(errorOf("closed", "the detector has been freed; create another one"));
  }

  #ask(kind, request, transfer) {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      this.#pending = { resolve, reject };
      try {
        const { transfer: _, ...rest } = request;
        this.#worker.postMessage({ kind, request: rest }, transfer);
      } catch (cause) {
        this.#pending = null;
        reject(errorOf("image", `the source cannot be sent to the worker (${cause.message})`, { cause }));
      }
    });
  }

  #stop(failure) {
    this.#failure ??= failure;
    clearTimeout(this.#start);
    this.#worker.terminate();
    for (const thread of this.#threads) thread.terminate();
    this.#pending?.reject(this.#failure);
    this.#pending = null;
  }
}
