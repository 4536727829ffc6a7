package android.view;

import android.content.Context;
import android.graphics.SurfaceTexture;

/** What the demo uses of Android's class. */
public class TextureView extends View {
    /** Receives the states of the texture. */
    public interface SurfaceTextureListener {
        void onSurfaceTextureAvailable(SurfaceTexture texture, int width, int height);

        void onSurfaceTextureSizeChanged(SurfaceTexture texture, int width, int height);

        boolean onSurfaceTextureDestroyed(SurfaceTexture texture);

        void onSurfaceTextureUpdated(SurfaceTexture texture);
    }

    public TextureView(Context context) {
        super(context);
    }

    public void setSurfaceTextureListener(SurfaceTextureListener listener) {}

    public boolean isAvailable() {
        return false;
    }

    public SurfaceTexture getSurfaceTexture() {
        return null;
    }
}
