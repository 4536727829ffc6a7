package android.content.res;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;

/** What the package uses of Android's class, on the folder of the system property {@code picodet.assets}. */
public final class AssetManager {
    public InputStream open(String name) throws IOException {
        return new FileInputStream(System.getProperty("picodet.assets") + "/" + name);
    }
}
