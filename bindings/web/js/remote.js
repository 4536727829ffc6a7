// Runs a detector in a worker.

import { errorOf } from "./errors.js";

/** A detector in a worker of its own; the caller awaits each answer before the next request. */
export class RemoteRunner {
  #worker;
  #pending = null;
  #failure = null;

  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => {
      const pending = this.#pending;
      this.#pending = null;
      if (!pending) return;
      if (data.error) pending.reject(errorOf(data.error.code, data.error.message));
      else pending.resolve(data.result);
    };
    worker.onerror = (event) => {
      event.preventDefault?.();
      const reason = event.message ? ` (${event.message})` : "; serve worker.js beside the script, or pass a `workerUrl`";
      this.#stop(errorOf("internal", `the worker has stopped${reason}`));
    };
    worker.onmessageerror = () => this.#stop(errorOf("internal", "the worker's answer cannot be read"));
  }

  static async create(worker, request, transfer) {
    const runner = new RemoteRunner(worker);
    try {
      runner.description = await runner.#ask("create", request, transfer);
      return runner;
    } catch (error) {
      worker.terminate();
      throw error;
    }
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
    this.#worker.terminate();
    this.#pending?.reject(this.#failure);
    this.#pending = null;
  }
}
