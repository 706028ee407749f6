#![no_main]

syncline_fuzz::program!("symbol_segments");
