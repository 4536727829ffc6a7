package android.os;

/** What the demo uses of Android's class. */
public final class Bundle {}
