package android.os;

/** What the demo uses of Android's class. */
public class HandlerThread extends Thread {
    public HandlerThread(String name) {
        super(name);
    }

    public Looper getLooper() {
        return null;
    }

    public boolean quitSafely() {
        return true;
    }
}
