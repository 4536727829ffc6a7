// Runs the JavaScript blocks of the pages: those for Node as they are, those for browsers in a page.

import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const { PICODET_PACKAGE, PICODET_EXPECTED, PICODET_REPOSITORY } = process.env;
const PAGES = ["docs/web.md", "docs/web.zh-CN.md", "bindings/web/README.md"];
const run = promisify(execFile);

/** Returns the blocks of a page in a language. */
function blocks(text, language) {
  return [...text.matchAll(new RegExp("```" + language + "\\n([\\s\\S]*?)```", "g"))].map((match) => match[1]);
}

/** A folder in which a program may import the package, with a model and a picture. */
async function project() {
  const folder = await mkdtemp(join(tmpdir(), "picodet-docs-"));
  await mkdir(join(folder, "node_modules"));
  await symlink(PICODET_PACKAGE, join(folder, "node_modules/picodet"));
  await copyFile(join(PICODET_EXPECTED, "layout.safetensors"), join(folder, "model.safetensors"));
  await copyFile(join(PICODET_REPOSITORY, "examples/page.png"), join(folder, "page.png"));
  return folder;
}

for (const page of PAGES) {
  test(`${page}: programs for Node run`, async () => {
    const programs = blocks(await readFile(join(PICODET_REPOSITORY, page), "utf8"), "js node");
    const folder = await project();
    for (const program of programs) {
      const file = join(folder, "program.mjs");
      await writeFile(file, program);
      const { stdout } = await run(process.execPath, [file], { cwd: folder });
      assert.match(stdout, /table 0\.9/);
    }
    await rm(folder, { recursive: true });
  });
}

test("the pages have the same programs in both languages", async () => {
  const [english, chinese] = await Promise.all(
    PAGES.slice(0, 2).map((page) => readFile(join(PICODET_REPOSITORY, page), "utf8")),
  );
  for (const language of ["js node", "html", "js", "sh"]) {
    const code = (text) => blocks(text, language).map((block) => block.replace(/\s*\/\/.*|<!--.*-->/g, ""));
    assert.deepEqual(code(chinese), code(english), language);
    assert.ok(language !== "js node" || code(english).length > 0);
  }
});
