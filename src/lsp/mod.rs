//! The language server: the only place that knows LSP.
//!
//! [`serve`] speaks it over a pair of streams. What comes in passes the [`inbox`], is turned into events by the
//! [`handlers`], and goes to the one task that owns a client's [`session`]. What goes out passes the [`outbox`], in order.
//! All messages of Syncline's own are in [`ext`].

mod documents;
pub mod ext;
mod frames;
mod inbox;
mod life;
mod outbox;
mod positions;
