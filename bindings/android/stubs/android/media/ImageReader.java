package android.media;

import android.os.Handler;
import android.view.Surface;

/** What the demo uses of Android's class. */
public class ImageReader implements AutoCloseable {
    /** Is called for each new image. */
    public interface OnImageAvailableListener {
        void onImageAvailable(ImageReader reader);
    }

    public static ImageReader newInstance(int width, int height, int format, int maxImages) {
        return new ImageReader();
    }

    public void setOnImageAvailableListener(OnImageAvailableListener listener, Handler handler) {}

    public Image acquireLatestImage() {
        return null;
    }

    public Surface getSurface() {
        return null;
    }

    @Override
    public void close() {}
}
