// The worker: one detector, one request at a time.

import { toPlain } from "./errors.js";
import { LocalRunner } from "./local.js";

let runner = null;

async function answer({ kind, request }) {
  switch (kind) {
    case "create":
      runner = await LocalRunner.create(request);
      return { description: runner.description, helpers: runner.helpers(request.options.threads - 1) };
    case "detect":
      return { values: await runner.detect(request), memoryBytes: runner.memoryBytes };
    default:
      throw new Error(`unknown request ${kind}`);
  }
}

self.postMessage({ isReady: true });

self.onmessage = async ({ data }) => {
  try {
    const result = await answer(data);
    self.postMessage({ result }, result.values ? [result.values.buffer] : []);
  } catch (error) {
    self.postMessage({ error: toPlain(error) });
  }
};
