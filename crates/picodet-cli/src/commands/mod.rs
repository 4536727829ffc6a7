//! The commands, one module each.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod convert;
pub(crate) mod data;
pub(crate) mod detect;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod forward;
pub(crate) mod info;
pub(crate) mod models;
pub(crate) mod quantise;
pub(crate) mod search;
pub(crate) mod train;
pub(crate) mod verify;
