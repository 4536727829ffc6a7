package dev.picodet;

import android.content.Context;
import android.content.res.AssetFileDescriptor;
import android.graphics.Bitmap;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Tests of the package, without a framework: a failure ends the program with a stack trace. */
final class DetectorTest {
    private static int passed;

    private final byte[] model;
    private final Pixels photo;

    private final Options options;

    private DetectorTest(byte[] model, Pixels photo, Options options) {
        this.model = model;
        this.photo = photo;
        this.options = options;
    }

    /** Runs the tests: model file, picture in PPM, side of the network input in pixels. */
    public static void main(String[] arguments) throws Exception {
        byte[] model = Files.readAllBytes(new File(arguments[0]).toPath());
        Pixels photo = Pixels.read(Files.readAllBytes(new File(arguments[1]).toPath()));
        int side = Integer.parseInt(arguments[2]);
        DetectorTest test = new DetectorTest(model, photo, new Options().inputSize(side, side));
        test.modelsOpen(new File(arguments[0]));
        test.pixelsInAllLayoutsGiveTheSameBoxes();
        test.camerasImagesAreChecked();
        test.badArgumentsAreExceptions();
        test.truncatedModelsAreExceptions();
        test.panicsAreExceptions();
        test.closedDetectorsAreExceptions();
        test.threadsShareOneDetector();
        test.detectorsAreFreed();
        System.out.println(passed + " passed");
    }

    private Detector open() {
        return new Detector(model, options);
    }

    private void modelsOpen(File file) throws IOException {
        try (Detector detector = Detector.create(new Context() {}, new Options())) {
            equal(80, detector.classes().size());
            equal("person", detector.classes().get(0));
            equal(416, detector.inputWidth());
            equal(416, detector.inputHeight());
        }
        AssetFileDescriptor descriptor = new AssetFileDescriptor(file, 0, file.length());
        try (Detector detector = Detector.create(descriptor, new Options().inputSize(320, 256))) {
            equal(320, detector.inputWidth());
            equal(256, detector.inputHeight());
        }
        refused(IOException.class, "nothing", () -> Detector.create(new Context() {}, "nothing", new Options()));
    }

    private void pixelsInAllLayoutsGiveTheSameBoxes() {
        int width = photo.width;
        int height = photo.height;
        try (Detector detector = open()) {
            List<Detection> found = detector.detect(photo.rgba(4 * width), width, height, 0);
            isTrue(found.stream().anyMatch(object -> object.label.equals("cup")));
            float[] numbers = detector.detectRaw(photo.rgba(4 * width), width, height, 4 * width, 0);
            equal(found.size() * Detector.NUMBERS, numbers.length);
            equal(found.get(0).right, numbers[2]);
            float[] padded = detector.detectRaw(photo.rgba(4 * width + 12), width, height, 4 * width + 12, 0);
            isTrue(Arrays.equals(numbers, padded));
            Bitmap bitmap = new Bitmap(Bitmap.Config.RGB_565, width, Pixels.bytes(photo.rgba(4 * width)));
            equal(found.toString(), detector.detect(bitmap).toString());
            Pixels turned = photo.turned();
            ByteBuffer pixels = turned.rgba(4 * turned.width);
            isTrue(Arrays.equals(numbers, detector.detectRaw(pixels, height, width, 4 * height, 270)));

            float[] planar = detector.detectRaw(photo.yuv(0, 1), width, height, 0);
            isTrue(planar.length > 0);
            for (int step : new int[] {1, 2, 3}) {
                isTrue(Arrays.equals(planar, detector.detectRaw(photo.yuv(16, step), width, height, 0)));
                FakeImage image = new FakeImage(photo.yuv(16, step), width, height);
                isTrue(Arrays.equals(planar, detector.detectRaw(image, 0)));
            }
            isTrue(Arrays.equals(planar, detector.detectRaw(turned.yuv(5, 2), height, width, 270)));
            byte[] ppm = new byte[] {1, 2, 3};
            refused(ImageException.class, "", () -> detector.detect(ppm));
        }
    }

    private void camerasImagesAreChecked() {
        try (Detector detector = open()) {
            FakeImage image = new FakeImage(photo.yuv(0, 1), photo.width, photo.height);
            image.count = 1;
            refused(IllegalArgumentException.class, "1 planes", () -> detector.detect(image, 0));
            image.count = 3;
            image.lumaStep = 2;
            refused(IllegalArgumentException.class, "strides", () -> detector.detect(image, 0));
        }
    }

    private void badArgumentsAreExceptions() {
        Class<IllegalArgumentException> argument = IllegalArgumentException.class;
        try (Detector detector = open()) {
            ByteBuffer heap = ByteBuffer.allocate(16);
            ByteBuffer direct = ByteBuffer.allocateDirect(16);
            refused(argument, "a direct buffer", () -> detector.detect(heap, 2, 2, 0));
            refused(argument, "a direct buffer", () -> detector.detect(new Yuv(heap, heap, heap), 2, 2, 0));
            refused(argument, "16 bytes", () -> detector.detect(direct, 3, 2, 0));
            refused(argument, "rotation", () -> detector.detect(direct, 2, 2, 45));
            refused(argument, "0 x 2", () -> detector.detect(direct, 0, 2, 0));
            refused(argument, "negative", () -> detector.detect(direct, -2, 2, 0));
            int max = Integer.MAX_VALUE;
            refused(argument, "", () -> detector.detect(direct, max, max, 0));
            refused(argument, "", () -> detector.detectRaw(direct, 65535, 65535, max, 0));
            refused(argument, "stride", () -> detector.detectRaw(direct, 2, 2, 4, 0));
            refused(argument, "U plane", () -> detector.detect(new Yuv(direct, empty(), direct), 2, 2, 0));
            refused(argument, "V plane", () -> detector.detect(new Yuv(direct, direct, empty()), 2, 2, 0));
            Yuv step = new Yuv(direct, direct, direct).chromaPixelStride(0);
            refused(argument, "", () -> detector.detect(step, 4, 4, 0));
            refused(argument, "", () -> detector.detect(step.chromaPixelStride(max), 4, 4, 0));
            refused(argument, "", () -> detector.detect(step.rowStrides(-1, -1), 4, 4, 0));
            isTrue(detector.detect(direct, 2, 2, 90) != null);
            refused(ImageException.class, "", () -> detector.detect(new byte[0]));
            refused(NullPointerException.class, "", () -> detector.detect((byte[]) null));
            refused(NullPointerException.class, "", () -> detector.detect((ByteBuffer) null, 2, 2, 0));
            refused(NullPointerException.class, "", () -> detector.detect((Yuv) null, 2, 2, 0));
            refused(NullPointerException.class, "u", () -> new Yuv(direct, null, direct));
        }
        refused(NullPointerException.class, "model", () -> new Detector((byte[]) null, new Options()));
        refused(NullPointerException.class, "options", () -> new Detector(model, null));
        Options options = new Options();
        Options[] wrong = {
            options.score(Float.NaN),
            options.score(2),
            options.iou(-1),
            options.maxDetections(0),
            options.maxDetections(-1),
            options.threads(0),
            options.threads(5000),
            options.inputSize(33, 32),
            options.inputSize(-32, 32),
            options.inputSize(0, 32),
        };
        String[] parts = {
            "", "", "", "maxDetections", "maxDetections", "threads", "threads", "33 x 32", "-32 x 32", "0 x 32",
        };
        for (int i = 0; i < wrong.length; i++) {
            Options each = wrong[i];
            refused(argument, parts[i], () -> new Detector(model, each));
        }
    }

    private void truncatedModelsAreExceptions() {
        Class<ModelException> wrong = ModelException.class;
        for (int length : new int[] {0, 1, 8, 100, model.length / 2, model.length - 1}) {
            byte[] part = Arrays.copyOf(model, length);
            refused(wrong, "", () -> new Detector(part, new Options()));
            ByteBuffer buffer = ByteBuffer.allocateDirect(length);
            buffer.put(part);
            refused(wrong, "", () -> new Detector(buffer, new Options()));
        }
        refused(wrong, "", () -> new Detector(new byte[1000], new Options()));
        ByteBuffer heap = ByteBuffer.wrap(model);
        refused(IllegalArgumentException.class, "a direct buffer", () -> new Detector(heap, new Options()));
    }

    private void panicsAreExceptions() {
        refused(PicodetException.class, "index 7 is out of range", () -> panic(7));
        refused(PicodetException.class, "index 8 is out of range", () -> panic(8));
    }

    private static Object panic(int index) {
        Native.panic(index);
        return null;
    }

    private void closedDetectorsAreExceptions() {
        Detector detector = open();
        detector.close();
        detector.close();
        refused(IllegalStateException.class, "closed", () -> detector.detect(empty(), 2, 2, 0));
        refused(IllegalStateException.class, "closed", () -> detector.detect(new byte[1]));
        refused(IllegalStateException.class, "closed", () -> detector.detect(photo.yuv(0, 1), 2, 2, 0));
        equal(80, detector.classes().size());
    }

    private void threadsShareOneDetector() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(8);
        ByteBuffer pixels = photo.rgba(4 * photo.width);
        Detector detector = open();
        Callable<float[]> call = () -> detector.detectRaw(pixels, photo.width, photo.height, 4 * photo.width, 0);
        float[] expected = call.call();
        for (Future<float[]> found : threads.invokeAll(java.util.Collections.nCopies(16, call))) {
            isTrue(Arrays.equals(expected, found.get()));
        }
        // Closing waits for the calls that run; the others are refused.
        Callable<Boolean> race = () -> {
            try {
                return Arrays.equals(expected, call.call());
            } catch (IllegalStateException closed) {
                return true;
            }
        };
        List<Future<Boolean>> running = new java.util.ArrayList<>();
        for (int i = 0; i < 8; i++) {
            running.add(threads.submit(race));
        }
        detector.close();
        for (Future<Boolean> found : running) {
            isTrue(found.get());
        }
        threads.shutdown();
    }

    private void detectorsAreFreed() throws IOException {
        for (int i = 0; i < 4; i++) {
            open().close();
        }
        long before = residentPages();
        for (int i = 0; i < 40; i++) {
            open().close();
        }
        // 40 detectors that are not freed have more than 100 MB.
        isTrue(residentPages() - before < 40_000_000 / 4096);
    }

    private static long residentPages() throws IOException {
        byte[] text = Files.readAllBytes(new File("/proc/self/statm").toPath());
        return Long.parseLong(new String(text).split(" ")[1]);
    }

    private static ByteBuffer empty() {
        return ByteBuffer.allocateDirect(0);
    }

    private static void refused(Class<? extends Throwable> kind, String part, Callable<Object> call) {
        try {
            call.call();
        } catch (Throwable error) {
            boolean isExpected = kind.isInstance(error) && String.valueOf(error.getMessage()).contains(part);
            if (!isExpected) {
                throw new AssertionError("expected " + kind + " with `" + part + "`", error);
            }
            passed++;
            return;
        }
        throw new AssertionError("expected " + kind + " with `" + part + "`");
    }

    private static void isTrue(boolean condition) {
        equal(true, condition);
    }

    private static void equal(Object expected, Object found) {
        if (!expected.equals(found)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
        passed++;
    }
}
