// Compiled by the tests: the types fit the usual uses, and wrong ones are errors.

import { Detector, ImageError, type Detection, type Frame } from "picodet";

export async function uses(video: HTMLVideoElement, image: HTMLImageElement, file: Blob): Promise<string[]> {
  using detector = await Detector.create({
    model: new URL("model.safetensors", "https://example.com/"),
    score: 0.4,
    inputSize: [416, 416],
    onProgress: ({ loaded, total }) => void (total === null ? loaded : loaded / total),
  });
  const found: Detection[] = await detector.detect(file, { signal: AbortSignal.timeout(1000) });
  const [x1, , x2] = (await detector.detect(image))[0]?.box ?? [0, 0, 0, 0];
  for await (const frame of detector.stream(video, { maxFps: 10 })) {
    const { detections }: Frame = frame;
    if (detections.length > 0) break;
  }
  // @ts-expect-error a path is not an image
  await detector.detect("photo.jpg").catch((error: unknown) => error instanceof ImageError && error.code);
  // @ts-expect-error there is no such option
  await Detector.create({ model: "m", threshold: 0.5 });
  // @ts-expect-error the constructor is private
  void Detector.prototype.constructor === new Detector();
  return [...found.map((object) => object.label), String(x2 - x1), ...detector.classes];
}
