package dev.picodet;

import androidx.annotation.NonNull;

/** An error of picodet. */
public class PicodetException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Creates an error with a message. */
    public PicodetException(@NonNull String message) {
        super(message);
    }
}
