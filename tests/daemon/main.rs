//! One engine for all windows: the daemon and its clients, as processes, in a home of their own.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

mod deaths;
mod home;
mod independence;
#[path = "../lsp_client/mod.rs"]
mod lsp_client;
#[path = "../redis_server/mod.rs"]
mod redis_server;
mod safety;
mod sharing;
mod storm;
#[path = "../support/mod.rs"]
mod support;
mod whole_homes;
