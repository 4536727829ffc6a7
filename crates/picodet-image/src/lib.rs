//! Images in and out: decoding with limits, OpenCV-exact resizing, drawing.
