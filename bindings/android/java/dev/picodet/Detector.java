package dev.picodet;

import android.content.Context;
import android.content.res.AssetFileDescriptor;
import android.graphics.Bitmap;
import android.media.Image;
import androidx.annotation.NonNull;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A model prepared for detection. Any number of threads may use one at the same time; {@link #close} waits for them, and later
 * calls are an {@link IllegalStateException}.
 *
 * <p>Buffers must be direct ({@link ByteBuffer#allocateDirect}). They are read from index 0 to their capacity, whatever their
 * position and limit; no thread may write to them during the call. A rotation is clockwise, in degrees: 0, 90, 180 or 270, as
 * it turns the image upright. Boxes are in pixels of the upright image. Arguments that contradict each other are an {@link
 * IllegalArgumentException}.
 *
 * <p>The methods {@code detectRaw} return six numbers per object without further objects: left, top, right, bottom, score,
 * class.
 */
public final class Detector implements AutoCloseable {
    /** The asset of the model for photos, with the 80 classes of COCO. */
    public static final String COCO_ASSET = "picodet/coco_s_416.safetensors";

    /** Numbers per object in the results of {@code detectRaw}. */
    public static final int NUMBERS = 6;

    private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
    private final List<String> classes;
    private final int inputWidth;
    private final int inputHeight;

    /** The native detector; 0 once it is closed. Read under the read lock, written under the write lock. */
    private long handle;

    /**
     * Prepares the model in the bytes of a model file.
     *
     * @throws ModelException when the bytes are not a model
     */
    public Detector(@NonNull byte[] model, @NonNull Options options) {
        this(Objects.requireNonNull(model, "model"), null, options);
    }

    /**
     * Prepares the model in a direct buffer, which is not needed afterwards.
     *
     * @throws ModelException when the bytes are not a model
     */
    public Detector(@NonNull ByteBuffer model, @NonNull Options options) {
        this(null, Objects.requireNonNull(model, "model"), options);
    }

    private Detector(byte[] array, ByteBuffer buffer, Options options) {
        Objects.requireNonNull(options, "options");
        handle =
                Native.create(
                        array,
                        buffer,
                        options.score,
                        options.iou,
                        options.maxDetections,
                        options.threads,
                        options.inputWidth,
                        options.inputHeight);
        classes = Collections.unmodifiableList(Arrays.asList(Native.classes(handle)));
        long size = Native.inputSize(handle);
        inputWidth = (int) (size >> 32);
        inputHeight = (int) size;
    }

    /**
     * Prepares the model for photos that the package contains.
     *
     * @throws IOException when the application has been built without the asset
     */
    @NonNull
    public static Detector create(@NonNull Context context, @NonNull Options options) throws IOException {
        return create(context, COCO_ASSET, options);
    }

    /**
     * Prepares the model in an asset.
     *
     * @throws IOException when there is no such asset
     * @throws ModelException when the asset is not a model
     */
    @NonNull
    public static Detector create(@NonNull Context context, @NonNull String asset, @NonNull Options options)
            throws IOException {
        try (InputStream stream = context.getAssets().open(asset)) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            byte[] part = new byte[65536];
            for (int length = stream.read(part); length >= 0; length = stream.read(part)) {
                bytes.write(part, 0, length);
            }
            return new Detector(bytes.toByteArray(), options);
        }
    }

    /**
     * Prepares the model in an uncompressed asset or resource without a copy in memory. The descriptor may be closed
     * afterwards.
     *
     * @throws IOException when the file cannot be read
     * @throws ModelException when the file is not a model
     */
    @NonNull
    public static Detector create(@NonNull AssetFileDescriptor model, @NonNull Options options) throws IOException {
        try (FileInputStream stream = model.createInputStream()) {
            FileChannel channel = stream.getChannel();
            long offset = model.getStartOffset();
            ByteBuffer bytes = channel.map(FileChannel.MapMode.READ_ONLY, offset, model.getLength());
            return new Detector(bytes, options);
        }
    }

    /** Returns the names of the classes. */
    @NonNull
    public List<String> classes() {
        return classes;
    }

    /** Returns the width of the network input in pixels. */
    public int inputWidth() {
        return inputWidth;
    }

    /** Returns the height of the network input in pixels. */
    public int inputHeight() {
        return inputHeight;
    }

    /**
     * Detects in the bytes of an image file: JPEG, PNG, WebP, BMP or GIF, turned upright by its EXIF orientation.
     *
     * @throws ImageException when the bytes are not an image
     */
    @NonNull
    public List<Detection> detect(@NonNull byte[] file) {
        return detections(detectRaw(file));
    }

    /** As {@link #detect(byte[])}, with numbers as result. */
    @NonNull
    public float[] detectRaw(@NonNull byte[] file) {
        Objects.requireNonNull(file, "file");
        return withHandle(handle -> Native.detectFile(handle, file));
    }

    /** Detects in pixels of red, green, blue and alpha, which is ignored, in rows without gaps. */
    @NonNull
    public List<Detection> detect(@NonNull ByteBuffer rgba, int width, int height, int rotation) {
        return detections(detectRaw(rgba, width, height, 4 * width, rotation));
    }

    /** Detects in pixels of red, green, blue and alpha with {@code rowStride} bytes from row to row. */
    @NonNull
    public float[] detectRaw(@NonNull ByteBuffer rgba, int width, int height, int rowStride, int rotation) {
        Objects.requireNonNull(rgba, "rgba");
        return withHandle(handle -> Native.detectRgba(handle, rgba, width, height, rowStride, rotation));
    }

    /** Detects in an image of the camera, of the format {@code YUV_420_888} in the full range. */
    @NonNull
    public List<Detection> detect(@NonNull Image image, int rotation) {
        return detections(detectRaw(image, rotation));
    }

    /** As {@link #detect(Image, int)}, with numbers as result. */
    @NonNull
    public float[] detectRaw(@NonNull Image image, int rotation) {
        Image.Plane[] planes = image.getPlanes();
        if (planes.length != 3) {
            throw new IllegalArgumentException(
                    "the image has " + planes.length + " planes; expected the 3 of ImageFormat.YUV_420_888");
        }
        if (planes[0].getPixelStride() != 1
                || planes[1].getRowStride() != planes[2].getRowStride()
                || planes[1].getPixelStride() != planes[2].getPixelStride()) {
            throw new IllegalArgumentException("the strides of the planes are not those of ImageFormat.YUV_420_888");
        }
        Yuv yuv =
                new Yuv(planes[0].getBuffer(), planes[1].getBuffer(), planes[2].getBuffer())
                        .rowStrides(planes[0].getRowStride(), planes[1].getRowStride())
                        .chromaPixelStride(planes[1].getPixelStride())
                        .fullRange(true);
        return detectRaw(yuv, image.getWidth(), image.getHeight(), rotation);
    }

    /** Detects in planes of YUV 4:2:0. */
    @NonNull
    public List<Detection> detect(@NonNull Yuv planes, int width, int height, int rotation) {
        return detections(detectRaw(planes, width, height, rotation));
    }

    /** As {@link #detect(Yuv, int, int, int)}, with numbers as result. */
    @NonNull
    public float[] detectRaw(@NonNull Yuv planes, int width, int height, int rotation) {
        int yRowStride = planes.yRowStride == 0 ? width : planes.yRowStride;
        int chromaRowStride =
                planes.chromaRowStride == 0
                        ? (width + 1) / 2 * planes.chromaPixelStride
                        : planes.chromaRowStride;
        return withHandle(
                handle ->
                        Native.detectYuv(
                                handle,
                                planes.y,
                                planes.u,
                                planes.v,
                                width,
                                height,
                                yRowStride,
                                chromaRowStride,
                                planes.chromaPixelStride,
                                planes.isFullRange,
                                rotation));
    }

    /** Detects in an upright bitmap; other configurations than {@code ARGB_8888} are converted. */
    @NonNull
    public List<Detection> detect(@NonNull Bitmap bitmap) {
        Bitmap converted = bitmap;
        if (bitmap.getConfig() != Bitmap.Config.ARGB_8888) {
            converted = bitmap.copy(Bitmap.Config.ARGB_8888, false);
        }
        ByteBuffer pixels = ByteBuffer.allocateDirect(converted.getRowBytes() * converted.getHeight());
        converted.copyPixelsToBuffer(pixels);
        float[] found =
                detectRaw(pixels, converted.getWidth(), converted.getHeight(), converted.getRowBytes(), 0);
        return detections(found);
    }

    /** Frees the native memory. Further calls of this method have no effect. */
    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            if (handle != 0) {
                Native.free(handle);
                handle = 0;
            }
        } finally {
            lock.writeLock().unlock();
        }
    }

    /** A call of the native library with an open handle. */
    private interface Call {
        float[] run(long handle);
    }

    private float[] withHandle(Call call) {
        lock.readLock().lock();
        try {
            if (handle == 0) {
                throw new IllegalStateException("the detector is closed");
            }
            return call.run(handle);
        } finally {
            lock.readLock().unlock();
        }
    }

    private List<Detection> detections(float[] numbers) {
        List<Detection> found = new ArrayList<>(numbers.length / NUMBERS);
        for (int i = 0; i < numbers.length; i += NUMBERS) {
            int classId = (int) numbers[i + 5];
            found.add(
                    new Detection(
                            numbers[i],
                            numbers[i + 1],
                            numbers[i + 2],
                            numbers[i + 3],
                            numbers[i + 4],
                            classId,
                            classes.get(classId)));
        }
        return found;
    }
}
