package android.content.pm;

/** What the demo uses of Android's class. */
public abstract class PackageManager {
    public static final int PERMISSION_GRANTED = 0;
}
