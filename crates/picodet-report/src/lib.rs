//! HTML reports: one page frame, one palette, one set of charts.
