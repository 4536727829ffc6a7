package dev.picodet;

import java.nio.ByteBuffer;

/** The native library. A handle is a number from {@link #create}; {@link Detector} guards its life. */
final class Native {
    static {
        System.loadLibrary("picodet");
    }

    private Native() {}

    static native long create(
            byte[] array,
            ByteBuffer buffer,
            float score,
            float iou,
            int maxDetections,
            int threads,
            int inputWidth,
            int inputHeight);

    static native void free(long handle);

    static native String[] classes(long handle);

    static native long inputSize(long handle);

    static native float[] detectFile(long handle, byte[] file);

    static native float[] detectRgba(
            long handle, ByteBuffer pixels, int width, int height, int rowStride, int rotation);

    static native float[] detectYuv(
            long handle,
            ByteBuffer y,
            ByteBuffer u,
            ByteBuffer v,
            int width,
            int height,
            int yRowStride,
            int chromaRowStride,
            int chromaPixelStride,
            boolean isFullRange,
            int rotation);

    /** Panics in the native library; for tests. */
    static native void panic(int index);
}
