package dev.picodet.demo;

import android.annotation.SuppressLint;
import android.content.Context;
import android.graphics.ImageFormat;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.os.HandlerThread;
import android.util.Size;
import android.view.Surface;
import dev.picodet.Detection;
import dev.picodet.Detector;
import java.util.Arrays;
import java.util.List;

/** The back camera, whose latest picture is detected in by a thread of its own; pictures in between are skipped. */
final class Camera extends CameraDevice.StateCallback implements AutoCloseable {
    /** Receives the objects of a picture and the size of the upright picture, in the thread of the camera. */
    interface Listener {
        void found(List<Detection> objects, int width, int height);
    }

    private final HandlerThread thread = new HandlerThread("camera");
    private final Handler handler;
    private final Surface preview;
    private final ImageReader reader;
    private final int rotation;
    private final Detector detector;
    private final Listener listener;
    private CameraDevice device;
    private boolean isClosed;

    // The activity asks for the permission first.
    @SuppressLint("MissingPermission")
    Camera(Context context, Size size, Surface preview, Detector detector, Listener listener)
            throws CameraAccessException {
        this.preview = preview;
        this.detector = detector;
        this.listener = listener;
        thread.start();
        handler = new Handler(thread.getLooper());
        reader = ImageReader.newInstance(size.getWidth(), size.getHeight(), ImageFormat.YUV_420_888, 2);
        reader.setOnImageAvailableListener(this::detect, handler);
        CameraManager manager = (CameraManager) context.getSystemService(Context.CAMERA_SERVICE);
        String id = back(manager);
        // The activity is in portrait, in which the picture of the sensor is turned by its orientation.
        rotation = manager.getCameraCharacteristics(id).get(CameraCharacteristics.SENSOR_ORIENTATION);
        manager.openCamera(id, this, handler);
    }

    private static String back(CameraManager manager) throws CameraAccessException {
        for (String id : manager.getCameraIdList()) {
            Integer facing = manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING);
            if (facing != null && facing == CameraCharacteristics.LENS_FACING_BACK) {
                return id;
            }
        }
        return manager.getCameraIdList()[0];
    }

    private void detect(ImageReader reader) {
        try (Image image = reader.acquireLatestImage()) {
            if (image != null) {
                List<Detection> objects = detector.detect(image, rotation);
                boolean isTurned = rotation % 180 != 0;
                int width = isTurned ? image.getHeight() : image.getWidth();
                int height = isTurned ? image.getWidth() : image.getHeight();
                listener.found(objects, width, height);
            }
        }
    }

    @Override
    public void onOpened(CameraDevice device) {
        synchronized (this) {
            if (isClosed) {
                device.close();
                return;
            }
            this.device = device;
        }
        try {
            CaptureRequest.Builder request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
            request.addTarget(preview);
            request.addTarget(reader.getSurface());
            device.createCaptureSession(
                    Arrays.asList(preview, reader.getSurface()), new Session(request.build()), handler);
        } catch (CameraAccessException error) {
            onError(device, 0);
        }
    }

    @Override
    public void onDisconnected(CameraDevice device) {
        device.close();
    }

    @Override
    public void onError(CameraDevice device, int error) {
        device.close();
    }

    /** Stops the camera and waits for the detection that runs. */
    @Override
    public void close() {
        synchronized (this) {
            isClosed = true;
            if (device != null) {
                device.close();
            }
        }
        thread.quitSafely();
        try {
            thread.join();
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        }
        reader.close();
    }

    /** Asks for pictures until the session is closed. */
    private final class Session extends CameraCaptureSession.StateCallback {
        private final CaptureRequest request;

        Session(CaptureRequest request) {
            this.request = request;
        }

        @Override
        public void onConfigured(CameraCaptureSession session) {
            try {
                session.setRepeatingRequest(request, null, handler);
            } catch (CameraAccessException | IllegalStateException error) {
                session.close();
            }
        }

        @Override
        public void onConfigureFailed(CameraCaptureSession session) {
            session.close();
        }
    }
}
