package dev.picodet.demo;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Paint;
import android.view.View;
import dev.picodet.Detection;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** Draws the boxes of objects over the preview. */
final class BoxesView extends View {
    private final Paint line = new Paint(Paint.ANTI_ALIAS_FLAG);
    private final Paint text = new Paint(Paint.ANTI_ALIAS_FLAG);
    private volatile Found found = new Found(Collections.<Detection>emptyList(), 1, 1);

    BoxesView(Context context) {
        super(context);
        line.setStyle(Paint.Style.STROKE);
        line.setStrokeWidth(4);
        line.setColor(Color.GREEN);
        text.setColor(Color.GREEN);
        text.setTextSize(36);
    }

    /** Shows the objects in a picture of this size; from any thread. */
    void show(List<Detection> objects, int width, int height) {
        found = new Found(objects, width, height);
        postInvalidate();
    }

    @Override
    protected void onDraw(Canvas canvas) {
        Found found = this.found;
        float x = (float) getWidth() / found.width;
        float y = (float) getHeight() / found.height;
        for (Detection object : found.objects) {
            canvas.drawRect(object.left * x, object.top * y, object.right * x, object.bottom * y, line);
            String label = String.format(Locale.ROOT, "%s %.2f", object.label, object.score);
            canvas.drawText(label, object.left * x, object.top * y - 8, text);
        }
    }

    /** The objects in a picture, and its size in pixels. */
    private static final class Found {
        final List<Detection> objects;
        final int width;
        final int height;

        Found(List<Detection> objects, int width, int height) {
            this.objects = objects;
            this.width = width;
            this.height = height;
        }
    }
}
