package android.graphics;

import java.nio.Buffer;
import java.nio.ByteBuffer;

/** What the package uses of Android's class. */
public final class Bitmap {
    /** Configurations of pixels. */
    public enum Config {
        ARGB_8888,
        RGB_565
    }

    private final Config config;
    private final int width;
    private final byte[] rgba;

    /** Creates a bitmap of these pixels, whatever the configuration says. */
    public Bitmap(Config config, int width, byte[] rgba) {
        this.config = config;
        this.width = width;
        this.rgba = rgba;
    }

    public Config getConfig() {
        return config;
    }

    public Bitmap copy(Config config, boolean isMutable) {
        return new Bitmap(config, width, rgba);
    }

    public int getWidth() {
        return width;
    }

    public int getHeight() {
        return rgba.length / getRowBytes();
    }

    public int getRowBytes() {
        return 4 * width;
    }

    public void copyPixelsToBuffer(Buffer buffer) {
        ((ByteBuffer) buffer).put(rgba);
    }
}
