package android.view;

import android.content.Context;
import android.graphics.Canvas;

/** What the demo uses of Android's class. */
public class View {
    public View(Context context) {}

    protected void onDraw(Canvas canvas) {}

    public void postInvalidate() {}

    public final int getWidth() {
        return 0;
    }

    public final int getHeight() {
        return 0;
    }
}
