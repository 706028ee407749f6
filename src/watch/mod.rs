//! w
pub mod tree;
