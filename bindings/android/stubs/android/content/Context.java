package android.content;

import android.content.res.AssetManager;

/** What the package and the demo use of Android's class. */
public abstract class Context {
    public static final String CAMERA_SERVICE = "camera";

    public AssetManager getAssets() {
        return new AssetManager();
    }

    public Object getSystemService(String name) {
        return null;
    }

    public int checkSelfPermission(String permission) {
        return -1;
    }
}
