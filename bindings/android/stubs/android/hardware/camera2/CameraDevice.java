package android.hardware.camera2;

import android.os.Handler;
import android.view.Surface;
import java.util.List;

/** What the demo uses of Android's class. */
public abstract class CameraDevice implements AutoCloseable {
    public static final int TEMPLATE_PREVIEW = 1;

    /** Receives the states of a camera. */
    public abstract static class StateCallback {
        public abstract void onOpened(CameraDevice device);

        public abstract void onDisconnected(CameraDevice device);

        public abstract void onError(CameraDevice device, int error);
    }

    public abstract CaptureRequest.Builder createCaptureRequest(int template) throws CameraAccessException;

    public abstract void createCaptureSession(
            List<Surface> outputs, CameraCaptureSession.StateCallback callback, Handler handler)
            throws CameraAccessException;

    @Override
    public abstract void close();
}
