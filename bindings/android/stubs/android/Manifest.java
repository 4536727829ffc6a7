package android;

/** What the demo uses of Android's class. */
public final class Manifest {
    /** Names of permissions. */
    public static final class permission {
        public static final String CAMERA = "android.permission.CAMERA";
    }
}
