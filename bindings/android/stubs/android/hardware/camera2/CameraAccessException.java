package android.hardware.camera2;

/** What the demo uses of Android's class. */
public class CameraAccessException extends Exception {
    private static final long serialVersionUID = 1L;
}
