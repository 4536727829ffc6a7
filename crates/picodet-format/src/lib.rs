//! File formats shared by the crates: protocol buffers, atomic files.
