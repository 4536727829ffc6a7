package android.graphics;

/** What the demo uses of Android's class. */
public class SurfaceTexture {
    public void setDefaultBufferSize(int width, int height) {}
}
