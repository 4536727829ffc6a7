package android.content.res;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;

/** What the package uses of Android's class, on a part of a file. */
public class AssetFileDescriptor {
    private final File file;
    private final long offset;
    private final long length;

    public AssetFileDescriptor(File file, long offset, long length) {
        this.file = file;
        this.offset = offset;
        this.length = length;
    }

    public FileInputStream createInputStream() throws IOException {
        return new FileInputStream(file);
    }

    public long getStartOffset() {
        return offset;
    }

    public long getLength() {
        return length;
    }
}
