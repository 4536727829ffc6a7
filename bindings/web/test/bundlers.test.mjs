// One small application per bundler, run in Chromium.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { launch } from "./chromium.mjs";
import { serve } from "./server.mjs";

const { PICODET_PACKAGE, PICODET_EXPECTED, PICODET_NODE_MODULES } = process.env;
const tools = join(dirname(PICODET_NODE_MODULES), "bundlers");
const run = promisify(execFile);
const APPLICATION = `
import { Detector } from "picodet";
const find = async (threads) => {
  const detector = await Detector.create({ model: "/expected/layout.safetensors", threads });
  const { length } = await detector.detect(new ImageData(64, 64));
  return [detector.threads, typeof length];
};
Promise.all([find(1), find(2)]).then(
  (result) => (globalThis.result = result),
  (error) => (globalThis.result = String(error)),
);
`;
const BUNDLERS = {
  vite: ["vite", "build", "--outDir", "out", "--base", "./", "--logLevel", "error"],
  webpack: ["webpack", "--mode", "production", "--entry", "./main.js", "--output-path", "out"],
  esbuild: ["esbuild", "main.js", "--bundle", "--format=esm", "--outfile=out/main.js", "--log-level=error"],
  rollup: ["rollup", "main.js", "--format", "es", "--file", "out/main.js", "--silent", "--plugin", "./resolve.js"],
};
// Rollup has no resolution of packages of its own.
const RESOLVE = `
export default () => ({ resolveId: (name) => (name === "picodet" ? ${JSON.stringify(
  join(PICODET_PACKAGE, "index.js"),
)} : null) });
`;
let server, browser;

before(async () => {
  browser = await launch();
  server = await serve({ "/expected/": PICODET_EXPECTED, "/apps/": join(tools, "apps") }, { isolated: true });
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

for (const [name, [program, ...values]] of Object.entries(BUNDLERS)) {
  test(`${name} builds an application that detects`, async () => {
    const folder = join(tools, "apps", name);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }');
    await writeFile(join(folder, "main.js"), APPLICATION);
    await writeFile(join(folder, "resolve.js"), RESOLVE);
    const script = '<!doctype html><title>app</title><script type="module" src="./main.js"></script>';
    await writeFile(join(folder, "index.html"), script);
    await run(join(tools, "node_modules/.bin", program), values, { cwd: folder });
    const out = join(folder, "out");
    if (name === "esbuild" || name === "rollup") {
      const files = (await readdir(PICODET_PACKAGE)).filter((file) => /\.(js|wasm)$/.test(file));
      for (const file of files) await cp(join(PICODET_PACKAGE, file), join(out, file));
    }
    if (name !== "vite") await writeFile(join(out, "index.html"), script);
    const page = await browser.newPage();
    await page.goto(`${server.address}/apps/${name}/out/index.html`);
    await page.waitForFunction(() => globalThis.result !== undefined);
    assert.deepEqual(await page.evaluate(() => globalThis.result), [[1, "number"], [2, "number"]]);
    await page.close();
  });
}

test("the bundled worker is not the page's script", async () => {
  const files = await readdir(join(tools, "apps/vite/out/assets"));
  assert.ok(files.some((file) => file.endsWith(".wasm")));
  const scripts = files.filter((file) => file.endsWith(".js"));
  const texts = await Promise.all(scripts.map((file) => readFile(join(tools, "apps/vite/out/assets", file), "utf8")));
  assert.ok(texts.length >= 2);
});
