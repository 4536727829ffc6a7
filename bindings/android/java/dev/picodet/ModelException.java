package dev.picodet;

import androidx.annotation.NonNull;

/** The bytes are not a valid model, or the model is not possible with the options. */
public class ModelException extends PicodetException {
    private static final long serialVersionUID = 1L;

    /** Creates an error with a message. */
    public ModelException(@NonNull String message) {
        super(message);
    }
}
