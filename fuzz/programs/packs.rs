#![no_main]

syncline_fuzz::program!("packs");
