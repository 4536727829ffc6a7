package androidx.annotation;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;

/** A value that is never null. Compilers know it by its name; no library is needed where programs run. */
@Retention(RetentionPolicy.CLASS)
public @interface NonNull {}
