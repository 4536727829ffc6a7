package android.widget;

import android.content.Context;
import android.view.View;

/** What the demo uses of Android's class. */
public class FrameLayout extends View {
    public FrameLayout(Context context) {
        super(context);
    }

    public void addView(View view) {}
}
