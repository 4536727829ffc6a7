package dev.picodet;

import androidx.annotation.NonNull;
import java.util.Locale;

/** An object in an image. The box is in pixels of the upright image. */
public final class Detection {
    /** The left edge of the box. */
    public final float left;

    /** The top edge of the box. */
    public final float top;

    /** The right edge of the box. */
    public final float right;

    /** The bottom edge of the box. */
    public final float bottom;

    /** The score, 0 to 1. */
    public final float score;

    /** The index of the class, from 0. */
    public final int classId;

    /** The name of the class. */
    @NonNull public final String label;

    Detection(float left, float top, float right, float bottom, float score, int classId, String label) {
        this.left = left;
        this.top = top;
        this.right = right;
        this.bottom = bottom;
        this.score = score;
        this.classId = classId;
        this.label = label;
    }

    /** Returns the width of the box in pixels. */
    public float width() {
        return right - left;
    }

    /** Returns the height of the box in pixels. */
    public float height() {
        return bottom - top;
    }

    @Override
    @NonNull
    public String toString() {
        String format = "%s %.2f [%.1f, %.1f, %.1f, %.1f]";
        return String.format(Locale.ROOT, format, label, score, left, top, right, bottom);
    }
}
