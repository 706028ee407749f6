//! Questions to the client.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tower_lsp::Client;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::request::Request;

use super::life::Life;

/// The client's answer, unless it takes longer than `patience`.
///
/// An answer that comes after its waiter has given up would have tower-lsp panic, and end the session. So the waiting
/// goes on, apart from whoever has asked, for as long as the client can be heard.
pub async fn ask<R>(client: &Client, life: &Life, params: R::Params, patience: Duration) -> Option<Result<R::Result>>
where
    R: Request + 'static,
    R::Params: Send + Sync + 'static,
    R::Result: Send,
{
    let (give, answer) = oneshot::channel();
    let client = client.clone();
    let wait = async move {
        // Whoever asked may have gone.
        let _ = give.send(client.send_request::<R>(params).await);
    };
    tokio::spawn(life.deaf().clone().run_until_cancelled_owned(wait));
    timeout(patience, answer).await.ok()?.ok()
}
