#![no_main]

syncline_fuzz::program!("files");
