package android.graphics;

/** What the demo uses of Android's class. */
public class Paint {
    public static final int ANTI_ALIAS_FLAG = 1;

    /** What is drawn of a shape. */
    public enum Style {
        STROKE
    }

    public Paint(int flags) {}

    public void setStyle(Style style) {}

    public void setStrokeWidth(float width) {}

    public void setColor(int colour) {}

    public void setTextSize(float size) {}
}
