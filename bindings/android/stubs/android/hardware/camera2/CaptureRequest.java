package android.hardware.camera2;

import android.view.Surface;

/** What the demo uses of Android's class. */
public final class CaptureRequest {
    /** Collects the targets of a request. */
    public static final class Builder {
        public void addTarget(Surface surface) {}

        public CaptureRequest build() {
            return new CaptureRequest();
        }
    }
}
