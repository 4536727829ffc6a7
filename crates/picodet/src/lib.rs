//! PicoDet.
