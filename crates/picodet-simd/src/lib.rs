//! Vectors of one instruction set: detection, safe arithmetic, dot products, dispatch.
