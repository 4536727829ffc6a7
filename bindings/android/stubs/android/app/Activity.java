package android.app;

import android.content.Context;
import android.os.Bundle;
import android.view.View;

/** What the demo uses of Android's class. */
public class Activity extends Context {
    protected void onCreate(Bundle state) {}

    protected void onResume() {}

    protected void onPause() {}

    protected void onDestroy() {}

    public void setContentView(View view) {}

    public void requestPermissions(String[] permissions, int request) {}

    public void onRequestPermissionsResult(int request, String[] permissions, int[] results) {}
}
