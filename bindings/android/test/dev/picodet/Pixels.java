package dev.picodet;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** The pixels of a picture, in the layouts that cameras have. */
final class Pixels {
    final int width;
    final int height;
    private final byte[] rgb;

    private Pixels(int width, int height, byte[] rgb) {
        this.width = width;
        this.height = height;
        this.rgb = rgb;
    }

    /** Reads a binary PPM file without comments. */
    static Pixels read(byte[] file) {
        String[] header = new String(file, 0, 32, StandardCharsets.ISO_8859_1).split("\\s+", 5);
        int width = Integer.parseInt(header[1]);
        int height = Integer.parseInt(header[2]);
        byte[] rgb = new byte[3 * width * height];
        System.arraycopy(file, file.length - rgb.length, rgb, 0, rgb.length);
        return new Pixels(width, height, rgb);
    }

    /** Returns the pixels turned clockwise by 90 degrees. */
    Pixels turned() {
        byte[] turned = new byte[rgb.length];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                System.arraycopy(rgb, 3 * (y * width + x), turned, 3 * (x * height + height - 1 - y), 3);
            }
        }
        return new Pixels(height, width, turned);
    }

    /** Returns red, green, blue and alpha with this many bytes from row to row. */
    ByteBuffer rgba(int stride) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(stride * height);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int from = 3 * (y * width + x);
                int to = y * stride + 4 * x;
                for (int channel = 0; channel < 3; channel++) {
                    buffer.put(to + channel, rgb[from + channel]);
                }
            }
        }
        return buffer;
    }

    /** Returns planes in the full range, with gaps after the rows and between the samples of chroma. */
    Yuv yuv(int gap, int step) {
        int columns = (width + 1) / 2;
        int rows = (height + 1) / 2;
        int stride = width + gap;
        int chromaStride = columns * step + gap;
        ByteBuffer y = ByteBuffer.allocateDirect(stride * (height - 1) + width);
        // U and V alternate where the step is 2, and the last row ends with its last sample, as cameras have it.
        ByteBuffer chroma = ByteBuffer.allocateDirect(chromaStride * rows + step);
        ByteBuffer v = step == 2 ? part(chroma, 1) : ByteBuffer.allocateDirect(chroma.capacity());
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                y.put(row * stride + column, (byte) clamp(weighted(column, row, 1, 0.299, 0.587, 0.114)));
            }
        }
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                int at = row * chromaStride + column * step;
                double blue = weighted(2 * column, 2 * row, 2, -0.168736, -0.331264, 0.5);
                double red = weighted(2 * column, 2 * row, 2, 0.5, -0.418688, -0.081312);
                chroma.put(at, (byte) clamp(128 + blue));
                v.put(at, (byte) clamp(128 + red));
            }
        }
        return new Yuv(y, chroma, v).rowStrides(stride, chromaStride).chromaPixelStride(step).fullRange(true);
    }

    /** Copies a buffer. */
    static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.capacity()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    private static ByteBuffer part(ByteBuffer buffer, int start) {
        ByteBuffer part = buffer.duplicate();
        part.position(start);
        return part.slice();
    }

    /** Returns the weighted sum of the channels, of the mean of {@code side} by {@code side} pixels. */
    private double weighted(int x, int y, int side, double red, double green, double blue) {
        int[] sums = new int[3];
        int count = 0;
        for (int row = y; row < Math.min(y + side, height); row++) {
            for (int column = x; column < Math.min(x + side, width); column++) {
                for (int channel = 0; channel < 3; channel++) {
                    sums[channel] += rgb[3 * (row * width + column) + channel] & 255;
                }
                count++;
            }
        }
        return (red * sums[0] + green * sums[1] + blue * sums[2]) / count;
    }

    private static int clamp(double value) {
        return (int) Math.max(0, Math.min(255, Math.round(value)));
    }
}
