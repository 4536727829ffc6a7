package android.graphics;

/** What the demo uses of Android's class. */
public class Color {
    public static final int GREEN = 0xff00ff00;
}
