#![no_main]

syncline_fuzz::program!("manifest");
