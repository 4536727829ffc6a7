//! Every network of the PicoDet family, as functions that append to a graph.
