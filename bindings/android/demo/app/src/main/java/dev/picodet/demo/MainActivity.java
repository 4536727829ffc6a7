package dev.picodet.demo;

import android.Manifest;
import android.app.Activity;
import android.content.pm.PackageManager;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraAccessException;
import android.os.Bundle;
import android.util.Size;
import android.view.Surface;
import android.view.TextureView;
import android.widget.FrameLayout;
import dev.picodet.Detector;
import dev.picodet.Options;
import java.io.IOException;

/** Shows the pictures of the back camera and draws the objects in them. */
public final class MainActivity extends Activity implements TextureView.SurfaceTextureListener {
    private static final Size SIZE = new Size(640, 480);

    private TextureView preview;
    private BoxesView boxes;
    private Detector detector;
    private Camera camera;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        preview = new TextureView(this);
        preview.setSurfaceTextureListener(this);
        boxes = new BoxesView(this);
        FrameLayout layout = new FrameLayout(this);
        layout.addView(preview);
        layout.addView(boxes);
        setContentView(layout);
        try {
            detector = Detector.create(this, new Options().threads(2));
        } catch (IOException error) {
            throw new IllegalStateException("the application has been built without the model", error);
        }
        if (checkSelfPermission(Manifest.permission.CAMERA) != PackageManager.PERMISSION_GRANTED) {
            requestPermissions(new String[] {Manifest.permission.CAMERA}, 0);
        }
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] permissions, int[] results) {
        startCamera();
    }

    @Override
    protected void onResume() {
        super.onResume();
        startCamera();
    }

    @Override
    protected void onPause() {
        stopCamera();
        super.onPause();
    }

    @Override
    protected void onDestroy() {
        detector.close();
        super.onDestroy();
    }

    private void startCamera() {
        boolean isAllowed = checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED;
        if (camera != null || !isAllowed || !preview.isAvailable()) {
            return;
        }
        SurfaceTexture texture = preview.getSurfaceTexture();
        texture.setDefaultBufferSize(SIZE.getWidth(), SIZE.getHeight());
        try {
            camera = new Camera(this, SIZE, new Surface(texture), detector, boxes::show);
        } catch (CameraAccessException error) {
            throw new IllegalStateException("the camera does not open", error);
        }
    }

    private void stopCamera() {
        if (camera != null) {
            camera.close();
            camera = null;
        }
    }

    @Override
    public void onSurfaceTextureAvailable(SurfaceTexture texture, int width, int height) {
        startCamera();
    }

    @Override
    public void onSurfaceTextureSizeChanged(SurfaceTexture texture, int width, int height) {}

    @Override
    public boolean onSurfaceTextureDestroyed(SurfaceTexture texture) {
        stopCamera();
        return true;
    }

    @Override
    public void onSurfaceTextureUpdated(SurfaceTexture texture) {}
}
