package android.hardware.camera2;

import android.os.Handler;

/** What the demo uses of Android's class. */
public final class CameraManager {
    public String[] getCameraIdList() throws CameraAccessException {
        return new String[0];
    }

    public CameraCharacteristics getCameraCharacteristics(String id) throws CameraAccessException {
        return new CameraCharacteristics();
    }

    public void openCamera(String id, CameraDevice.StateCallback callback, Handler handler)
            throws CameraAccessException {}
}
