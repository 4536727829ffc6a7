package android.annotation;

/** What the demo uses of Android's class. */
public @interface SuppressLint {
    String[] value();
}
