#![no_main]

syncline_fuzz::program!("segment");
