package android.graphics;

/** What the demo uses of Android's class. */
public class ImageFormat {
    public static final int YUV_420_888 = 35;
}
