// Prints the detections in the images of a folder: name, tabulator, array in JSON. Arguments: package, model, folder.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [, , location, model, folder] = process.argv;
const { Detector, ImageError } = await import(pathToFileURL(join(location, "node.js")).href);
const detector = await Detector.create({ model: await readFile(model), score: 0.4 });
for (const name of (await readdir(folder)).sort()) {
  try {
    const found = await detector.detect(await readFile(join(folder, name)));
    const objects = found.map(({ classId, label, score, box }) => ({ class: classId, name: label, score, box }));
    console.log(`${name}\t${JSON.stringify(objects)}`);
  } catch (error) {
    if (!(error instanceof ImageError)) {
      throw error;
    }
    console.error(`${name}: ${error.message}`);
  }
}
detector.free();
