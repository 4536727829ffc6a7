package android.graphics;

/** What the demo uses of Android's class. */
public class Canvas {
    public void drawRect(float left, float top, float right, float bottom, Paint paint) {}

    public void drawText(String text, float x, float y, Paint paint) {}
}
