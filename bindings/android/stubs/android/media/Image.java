package android.media;

import java.nio.ByteBuffer;

/** What the package uses of Android's class. */
public abstract class Image implements AutoCloseable {
    /** A plane of pixels. */
    public abstract static class Plane {
        public abstract ByteBuffer getBuffer();

        public abstract int getRowStride();

        public abstract int getPixelStride();
    }

    public abstract int getWidth();

    public abstract int getHeight();

    public abstract Plane[] getPlanes();

    @Override
    public void close() {}
}
