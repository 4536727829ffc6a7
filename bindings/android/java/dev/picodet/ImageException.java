package dev.picodet;

import androidx.annotation.NonNull;

/** The bytes are not a supported image, or the image is incomplete or too large. */
public class ImageException extends PicodetException {
    private static final long serialVersionUID = 1L;

    /** Creates an error with a message. */
    public ImageException(@NonNull String message) {
        super(message);
    }
}
