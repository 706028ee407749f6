#![no_main]

syncline_fuzz::program!("planner");
