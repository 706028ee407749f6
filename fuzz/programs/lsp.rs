#![no_main]

syncline_fuzz::program!("lsp");
