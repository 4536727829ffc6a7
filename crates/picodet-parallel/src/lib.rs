//! Ordered parallel maps over threads.
