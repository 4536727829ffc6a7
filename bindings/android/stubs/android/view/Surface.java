package android.view;

import android.graphics.SurfaceTexture;

/** What the demo uses of Android's class. */
public class Surface {
    public Surface(SurfaceTexture texture) {}
}
