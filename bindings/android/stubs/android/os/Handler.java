package android.os;

/** What the demo uses of Android's class. */
public class Handler {
    public Handler(Looper looper) {}
}
