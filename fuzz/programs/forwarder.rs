#![no_main]

syncline_fuzz::program!("forwarder");
