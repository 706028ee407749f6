#![no_main]

syncline_fuzz::program!("settings");
