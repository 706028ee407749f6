#![no_main]

syncline_fuzz::program!("replies");
