package android.hardware.camera2;

/** What the demo uses of Android's class. */
public final class CameraCharacteristics {
    /** The name of a property. */
    public static final class Key<T> {}

    public static final int LENS_FACING_BACK = 1;
    public static final Key<Integer> LENS_FACING = new Key<>();
    public static final Key<Integer> SENSOR_ORIENTATION = new Key<>();

    public <T> T get(Key<T> key) {
        return null;
    }
}
