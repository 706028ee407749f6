#![no_main]

syncline_fuzz::program!("wire");
