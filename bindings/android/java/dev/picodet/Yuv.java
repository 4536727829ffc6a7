package dev.picodet;

import androidx.annotation.NonNull;
import java.nio.ByteBuffer;
import java.util.Objects;

/**
 * The planes of an image in YUV 4:2:0, in direct buffers: luma in full size, and one U and one V for each two by two pixels. Each
 * method returns a changed copy.
 */
public final class Yuv {
    final ByteBuffer y;
    final ByteBuffer u;
    final ByteBuffer v;
    final int yRowStride;
    final int chromaRowStride;
    final int chromaPixelStride;
    final boolean isFullRange;

    /** Describes planes without gaps (I420), in the limited range. */
    public Yuv(@NonNull ByteBuffer y, @NonNull ByteBuffer u, @NonNull ByteBuffer v) {
        this(y, u, v, 0, 0, 1, false);
    }

    private Yuv(
            ByteBuffer y,
            ByteBuffer u,
            ByteBuffer v,
            int yRowStride,
            int chromaRowStride,
            int chromaPixelStride,
            boolean isFullRange) {
        this.y = Objects.requireNonNull(y, "y");
        this.u = Objects.requireNonNull(u, "u");
        this.v = Objects.requireNonNull(v, "v");
        this.yRowStride = yRowStride;
        this.chromaRowStride = chromaRowStride;
        this.chromaPixelStride = chromaPixelStride;
        this.isFullRange = isFullRange;
    }

    /** Sets the bytes from row to row of luma, and of U and V; 0: rows without gaps. */
    @NonNull
    public Yuv rowStrides(int luma, int chroma) {
        return new Yuv(y, u, v, luma, chroma, chromaPixelStride, isFullRange);
    }

    /** Sets the bytes from one sample to the next of U and V: 2 where they alternate in one plane, otherwise 1. */
    @NonNull
    public Yuv chromaPixelStride(int bytes) {
        return new Yuv(y, u, v, yRowStride, chromaRowStride, bytes, isFullRange);
    }

    /** Sets whether values are from 0 to 255 (cameras, JPEG) and not from 16 to 235 (video). */
    @NonNull
    public Yuv fullRange(boolean isFullRange) {
        return new Yuv(y, u, v, yRowStride, chromaRowStride, chromaPixelStride, isFullRange);
    }
}
