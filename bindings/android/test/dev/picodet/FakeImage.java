package dev.picodet;

import android.media.Image;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** An image of a camera that does not exist. */
final class FakeImage extends Image {
    /** Number of planes. */
    int count = 3;

    /** Bytes from sample to sample of luma. */
    int lumaStep = 1;

    private final Yuv yuv;
    private final int width;
    private final int height;

    FakeImage(Yuv yuv, int width, int height) {
        this.yuv = yuv;
        this.width = width;
        this.height = height;
    }

    @Override
    public int getWidth() {
        return width;
    }

    @Override
    public int getHeight() {
        return height;
    }

    @Override
    public Plane[] getPlanes() {
        Plane[] planes = {
            new FakePlane(yuv.y, yuv.yRowStride, lumaStep),
            new FakePlane(yuv.u, yuv.chromaRowStride, yuv.chromaPixelStride),
            new FakePlane(yuv.v, yuv.chromaRowStride, yuv.chromaPixelStride),
        };
        return Arrays.copyOf(planes, count);
    }

    private static final class FakePlane extends Plane {
        private final ByteBuffer buffer;
        private final int rowStride;
        private final int pixelStride;

        FakePlane(ByteBuffer buffer, int rowStride, int pixelStride) {
            this.buffer = buffer;
            this.rowStride = rowStride;
            this.pixelStride = pixelStride;
        }

        @Override
        public ByteBuffer getBuffer() {
            return buffer;
        }

        @Override
        public int getRowStride() {
            return rowStride;
        }

        @Override
        public int getPixelStride() {
            return pixelStride;
        }
    }
}
