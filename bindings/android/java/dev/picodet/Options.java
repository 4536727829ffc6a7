package dev.picodet;

import androidx.annotation.NonNull;

/**
 * The options of a detector. Each method returns a changed copy; a value out of its range is an {@link
 * IllegalArgumentException} when the detector is created.
 */
public final class Options {
    final float score;
    final float iou;
    final int maxDetections;
    final int threads;
    final int inputWidth;
    final int inputHeight;

    /** Creates the defaults: scores from 0.4, an IoU of 0.6, 100 detections, one thread, the model's own input size. */
    public Options() {
        this(0.4f, 0.6f, 100, 1, 0, 0);
    }

    private Options(float score, float iou, int maxDetections, int threads, int inputWidth, int inputHeight) {
        this.score = score;
        this.iou = iou;
        this.maxDetections = maxDetections;
        this.threads = threads;
        this.inputWidth = inputWidth;
        this.inputHeight = inputHeight;
    }

    /** Sets the minimum score of a detection, 0 to 1. */
    @NonNull
    public Options score(float score) {
        return new Options(score, iou, maxDetections, threads, inputWidth, inputHeight);
    }

    /** Sets the IoU above which a box is suppressed by a better one of its class, 0 to 1. */
    @NonNull
    public Options iou(float iou) {
        return new Options(score, iou, maxDetections, threads, inputWidth, inputHeight);
    }

    /** Sets the maximum number of detections per image, at least 1. */
    @NonNull
    public Options maxDetections(int maxDetections) {
        return new Options(score, iou, maxDetections, threads, inputWidth, inputHeight);
    }

    /** Sets the number of threads of each inference, 1 to 1024. */
    @NonNull
    public Options threads(int threads) {
        return new Options(score, iou, maxDetections, threads, inputWidth, inputHeight);
    }

    /** Sets the size of the network input in pixels, multiples of 32; 0 for both: the model's own. */
    @NonNull
    public Options inputSize(int width, int height) {
        return new Options(score, iou, maxDetections, threads, width, height);
    }
}
