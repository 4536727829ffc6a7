package android.hardware.camera2;

import android.os.Handler;

/** What the demo uses of Android's class. */
public abstract class CameraCaptureSession implements AutoCloseable {
    /** Receives the states of a session. */
    public abstract static class StateCallback {
        public abstract void onConfigured(CameraCaptureSession session);

        public abstract void onConfigureFailed(CameraCaptureSession session);
    }

    /** Receives the states of a request. */
    public abstract static class CaptureCallback {}

    public abstract int setRepeatingRequest(CaptureRequest request, CaptureCallback callback, Handler handler)
            throws CameraAccessException;

    @Override
    public abstract void close();
}
