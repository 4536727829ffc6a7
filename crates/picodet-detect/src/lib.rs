//! From an image to boxes: preprocess, run, decode, suppress.
