// Starts headless Chromium through playwright-core from the folder PICODET_NODE_MODULES.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts the browser with further arguments. */
export async function launch(...more) {
  const require = createRequire(join(process.env.PICODET_NODE_MODULES, "package.json"));
  const { chromium } = require("playwright-core");
  const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync);
  return chromium.launch({ executablePath, args: [...ARGUMENTS, ...more] });
}
