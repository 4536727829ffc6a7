// Prints the seconds from opening a page to the first detection in headless Chromium. Arguments: folder of the page, object.

import { join } from "node:path";

import { launch } from "../../../../bindings/web/test/chromium.mjs";
import { serve } from "../../../../bindings/web/test/server.mjs";

const [, , folder, object] = process.argv;
const server = await serve({ "/": folder });
const browser = await launch();
const page = await browser.newPage();
const start = performance.now();
await page.goto(`${server.address}/index.html`);
await page.waitForSelector("body[data-ready]");
await page.setInputFiles("#file", join(folder, "photo.jpg"));
await page.waitForFunction((object) => document.getElementById("result").textContent.includes(object), object);
console.log(((performance.now() - start) / 1000).toFixed(3));
await browser.close();
await server.stop();
